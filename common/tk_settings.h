/* SPDX-License-Identifier: MIT */
/*
 * Settings: one row each in one table per program. The rows are the only place that knows a
 * setting's name, type, default, range and help; --help, --check-config and deploy/tako.env.example
 * are printed from them. Values come from environment variables only.
 */
#pragma once

#include <stdio.h>

#include "common/tk_base.h"

enum tk_setting_type {
    TK_SETTING_STRING, /* char *: allocated; NULL when unset and without default */
    TK_SETTING_INT,    /* int64_t, within min..max */
    TK_SETTING_BOOL,   /* bool: 1 0 true false yes no on off */
    TK_SETTING_LIST,   /* struct tk_string_list: comma separated, blanks trimmed, empties dropped */
    /* As TK_SETTING_STRING, and checked while loading: */
    TK_SETTING_LOG_LEVEL,    /* tk_log_level_parse */
    TK_SETTING_DATABASE_URL, /* tk_database_url */
    TK_SETTING_REDIS_URL,    /* tk_redis_url */
};

#define TK_SETTING_SECRET   1U /* value is never printed */
#define TK_SETTING_REQUIRED 2U /* unset or empty is an error, unless TAKO_DEV is on (H18) */

struct tk_setting {
    const char *name; /* environment variable */
    enum tk_setting_type type;
    unsigned flags;
    size_t offset;             /* of the member in the program's settings struct */
    const char *default_value; /* as it would be written in the environment; NULL: none */
    int64_t min, max;          /* TK_SETTING_INT */
    const char *help;          /* one or more sentences; may hold \n */
};

struct tk_string_list {
    char **items;
    size_t count;
};

struct tk_settings_table {
    const char *program; /* "tako-broker" */
    const struct tk_setting *rows;
    size_t count;
};

typedef const char *(*tk_getenv_fn)(const char *name);

/* The environment of the process. */
const char *tk_settings_getenv(const char *name);

/*
 * Fills out from the environment; an empty value counts as unset. Every bad value is reported on
 * errors (one line: name, what is wrong, what would be right; secrets not quoted) before TK_EINVAL
 * is returned. out must be zeroed before; it owns its strings and lists until tk_settings_free,
 * also after a failure.
 */
enum tk_err tk_settings_load(const struct tk_settings_table *table, tk_getenv_fn env, void *out,
                             FILE *errors) TK_MUST_CHECK;
void tk_settings_free(const struct tk_settings_table *table, void *settings);

/* The table for people: name, default, range, help. */
void tk_settings_print_help(const struct tk_settings_table *table, FILE *to);

/* What is in force, one NAME=value a line, secrets as "(set)" or "(not set)". */
void tk_settings_print_values(const struct tk_settings_table *table, const void *settings,
                              FILE *to);

/*
 * The part of deploy/tako.env.example that belongs to this program: one paragraph per row, equal
 * for equal rows, so that what several programs share can be dropped by comparing paragraphs. What
 * must be filled in stands as NAME=, the rest as #NAME=default.
 */
void tk_settings_print_example(const struct tk_settings_table *table, FILE *to);

/*
 * What the rows cannot tell of settings that were loaded, as the program finds it out when it
 * starts. Says what is wrong on stderr.
 */
typedef enum tk_err (*tk_settings_check_fn)(const void *settings);

/*
 * The command line that every tako program shares. Handles --help, --version, --check-config and
 * --env-example (prints them, or loads the settings into a throwaway copy of `size` bytes and lets
 * check, unless it is NULL, have a look) and returns true with the exit status in *status: 0, or 2
 * for settings that are not valid. False when none of them was given; other words are the
 * program's.
 */
bool tk_settings_command_line(const struct tk_settings_table *table, size_t size,
                              tk_settings_check_fn check, const char *usage, int argc, char **argv,
                              int *status);

/* Rows that several programs share, so that name, default and help stand once. */
#define TK_SETTING_ROW_DATABASE_URL(type)                                                          \
    {                                                                                              \
        "DATABASE_URL", TK_SETTING_DATABASE_URL, TK_SETTING_SECRET | TK_SETTING_REQUIRED,          \
            offsetof(type, database_url), NULL, 0, 0,                                              \
            "PostgreSQL, as postgres://user:password@host/database (postgresql:// and ecto:// "    \
            "are the same; a unix socket is postgres:///database?host=/run/postgresql)."           \
    }
#define TK_SETTING_ROW_REDIS_URL(type)                                                             \
    {                                                                                              \
        "REDIS_URL", TK_SETTING_REDIS_URL, TK_SETTING_SECRET, offsetof(type, redis_url),           \
            "redis://127.0.0.1:6379/0", 0, 0,                                                      \
            "Redis, as redis://[user:password@]host:port/db or unix://[user:password@]/path?db=0." \
    }
#define TK_SETTING_ROW_LOG_LEVEL(type)                                                             \
    {                                                                                              \
        "TAKO_LOG_LEVEL", TK_SETTING_LOG_LEVEL, 0, offsetof(type, log_level), "info", 0, 0,        \
            "error, warn, info or debug. debug may log payloads."                                  \
    }
#define TK_SETTING_ROW_DEV(type)                                                                   \
    {                                                                                              \
        "TAKO_DEV", TK_SETTING_BOOL, 0, offsetof(type, dev), "0", 0, 0,                            \
            "1 lets a program start without its required secrets, for development only."           \
    }
