/* SPDX-License-Identifier: MIT */
/* Content negotiation (H26-H28): what Content-Type and Accept mean for us. */
#pragma once

#include "common/tk_base.h"

#define MEDIA_JSONAPI "application/vnd.api+json"
#define MEDIA_JSON    "application/json; charset=utf-8"

enum media_kind {
    MEDIA_KIND_OTHER,
    MEDIA_KIND_JSONAPI,              /* bare, or with profile only */
    MEDIA_KIND_JSONAPI_WITH_UNKNOWN, /* with ext or any other parameter: 415 */
};

/* header is the value of Content-Type, or NULL. */
enum media_kind media_content_type(const char *header);

/* header is the value of Accept, or NULL (which accepts anything). */
bool media_accepts_jsonapi(const char *header);
bool media_accepts_json(const char *header); /* the leaderboard's looser rule */
