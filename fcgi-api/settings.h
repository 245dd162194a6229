/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/types.h>

#include "common/tk_settings.h"

/* The program's settings; settings.c has the table. Read once at start, then constant. */
struct api_settings {
    struct tk_string_list tokens; /* H18: several for rotation */
    char *admin_token;            /* H76; NULL: nobody is admin */
    char *database_url;
    int64_t database_timeout_ms;
    char *redis_url;
    char *log_level;
    bool dev;

    int64_t pool_size;
    char *listen;      /* NULL: inherited socket or plain CGI */
    char *socket_mode; /* octal */
    int64_t request_timeout_ms;
    char *public_url; /* H14; NULL: links are path-absolute */
    struct tk_string_list cors_origins;

    int64_t nickname_max;
    int64_t stamps_max;
    int64_t body_max;
    int64_t leaderboard_max;
    char *profanity_file;

    int64_t rate_post; /* H98: a minute and address; 0: no limit */
    int64_t rate_other;
    struct tk_string_list trusted_proxies;
    bool server_timing;
};

extern const struct tk_settings_table api_settings_table;

/* "0660" as a mode; TK_EINVAL for anything but octal digits up to 0777. */
enum tk_err api_socket_mode(const char *text, mode_t *mode) TK_MUST_CHECK;
