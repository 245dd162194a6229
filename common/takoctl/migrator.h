/* SPDX-License-Identifier: MIT */
/*
 * Bringing a database's schema up to date. What has been applied stands in schema_migrations, in
 * the form that Ecto uses, so that the original tako and this one can work on the same database:
 * each leaves the other's rows alone.
 *
 * One migrator at a time (a session's advisory lock), each migration in a transaction of its own
 * together with its row, unless the migration says otherwise.
 */
#pragma once

#include "common/takoctl/database.h"
#include "common/takoctl/migration_files.h"

/* What the migrator does, as it does it. line is without a line end. */
typedef void (*migrator_say_fn)(void *arg, const char *line);

struct migrator {
    PGconn *conn;
    const struct migration_list *migrations;
    int wait_ms;             /* longest wait for another migrator, and for locks of a migration */
    migrator_say_fn on_done; /* a migration was applied */
    migrator_say_fn on_wait; /* somebody is in the way */
    void *arg;
};

/*
 * Applies what has not been applied, in order. Stops at the first failure, with what came before in
 * place; failure then has the whole story. *applied counts, also then.
 */
enum tk_err migrator_run(const struct migrator *m, size_t *applied,
                         struct database_failure *failure) TK_MUST_CHECK;

enum migration_state { MIGRATION_APPLIED, MIGRATION_PENDING, MIGRATION_FOREIGN };

/* migration is NULL for a foreign row; applied_at (UTC) is "" when pending or not recorded. */
typedef void (*migrator_status_fn)(void *arg, enum migration_state state, int64_t version,
                                   const struct migration *migration, const char *applied_at);

/* Tells of each migration and each foreign row, by version. Changes nothing and waits for nobody.
 */
enum tk_err migrator_status(const struct migrator *m, migrator_status_fn fn, void *arg,
                            struct database_failure *failure) TK_MUST_CHECK;
