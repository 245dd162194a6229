/* SPDX-License-Identifier: MIT */
/*
 * The migrations as files: yyyymmddhhmmss_what_it_does.sql, one directory, applied in the order of
 * their versions. sql/README.md tells how to write one.
 */
#pragma once

#include "common/takoctl/arguments.h"

struct migration {
    int64_t version;             /* the 14 digits */
    char *name;                  /* what_it_does */
    char *sql;                   /* the whole file, terminated; holds no NUL */
    bool is_outside_transaction; /* its first line is "-- no-transaction" */
};

struct migration_list {
    struct migration *items; /* by version, each once */
    size_t count;
};

/* TK_EINVAL with problem, which names the file: unreadable, misnamed, too big, a version twice. */
enum tk_err migration_list_load(const char *directory, struct migration_list *list,
                                struct ctl_problem *problem) TK_MUST_CHECK;
void migration_list_fini(struct migration_list *list);

const struct migration *migration_list_find(const struct migration_list *list, int64_t version);

/*
 * Takes a file name apart; *name is the part between digits and ".sql". TK_EINVAL unless it is 14
 * digits that are a date and time, '_', lower-case letters, digits and '_', ".sql".
 */
enum tk_err migration_name_parse(const char *file, int64_t *version,
                                 struct tk_slice *name) TK_MUST_CHECK;

bool migration_is_outside_transaction(const char *sql);

/*
 * The next statement of a migration outside a transaction, which must be sent one by one: up to a
 * ';' that ends a line, or to the end. False when there is none left; comment lines alone are none.
 */
bool migration_next_statement(struct tk_slice *rest, struct tk_slice *statement);
