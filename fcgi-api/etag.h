/* SPDX-License-Identifier: MIT */
/* Entity tags (H87, H101): strong ones, made from a version or from the bytes of an answer. */
#pragma once

#include "common/tk_base.h"

struct etag {
    char text[40]; /* with its quotes */
};

struct etag etag_of_version(int64_t version);
struct etag etag_of_bytes(struct tk_slice bytes);

/* Is etag in the list of If-Match ("*" matches anything)? Weak tags never match (RFC 9110). */
bool etag_if_match(const char *header, const struct etag *etag);

/* The same for If-None-Match, where a weak tag matches its strong twin. */
bool etag_if_none_match(const char *header, const struct etag *etag);
