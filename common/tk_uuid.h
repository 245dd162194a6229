/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_base.h"

/* A user's UUID is his credential: see "Identity" in the README before printing one. */
struct tk_uuid {
    uint8_t bytes[16];
};

#define TK_UUID_LEN      36
#define TK_PUBLIC_ID_LEN 22

/* 8-4-4-4-12 hex digits with dashes, any case, nothing around them. Else TK_EINVAL. (H71, C84) */
enum tk_err tk_uuid_parse(struct tk_slice text, struct tk_uuid *uuid) TK_MUST_CHECK;

/* Lower case, terminated. Returns out. */
char *tk_uuid_format(const struct tk_uuid *uuid, char out[TK_UUID_LEN + 1]);

/* The first eight digits, for log lines. Returns out. */
char *tk_uuid_short(const struct tk_uuid *uuid, char out[9]);

/* Random version 4 from the system's cryptographic source (H63). Aborts when there is none. */
void tk_uuid_random(struct tk_uuid *uuid);

static inline bool tk_uuid_eq(const struct tk_uuid *a, const struct tk_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/*
 * The name other clients may see: the first 22 characters of the URL-safe base64 of
 * SHA-256("tako-public-id:" + lower-case UUID). Terminated; returns out.
 */
char *tk_public_id(const struct tk_uuid *uuid, char out[TK_PUBLIC_ID_LEN + 1]);
