/* SPDX-License-Identifier: MIT */
/*
 * takoctl's settings. A command reads only those it uses, so that `takoctl broadcast` works where
 * there is no DATABASE_URL, or a wrong one.
 */
#pragma once

#include "common/tk_settings.h"

struct ctl_settings {
    char *log_level;
    char *redis_url;
    char *database_url;
    int64_t database_timeout_ms;
    char *migrations_dir; /* NULL: the one that belongs to this program */
    int64_t nickname_max;
    int64_t stamps_max;
    char *profanity_file; /* NULL: the one that belongs to this program; "none": no check */
};

#define CTL_NEEDS_REDIS      1U
#define CTL_NEEDS_DATABASE   2U
#define CTL_NEEDS_MIGRATIONS 4U
#define CTL_NEEDS_USER_RULES 8U
#define CTL_NEEDS_ALL        15U

#define CTL_MAX_SETTINGS 8

/* The rows that these needs ask for, as a table. It points into rows, which the caller keeps. */
struct tk_settings_table ctl_settings_table(unsigned needs,
                                            struct tk_setting rows[CTL_MAX_SETTINGS]);
