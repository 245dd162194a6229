/* SPDX-License-Identifier: MIT */
/*
 * The order of events: session limits, the advisory lock, schema_migrations, then one migration
 * after the other. A migration that cannot get its locks soon lets go and tries again: whoever
 * waits for a lock on a table makes everybody else queue up behind himself.
 */
#include "common/takoctl/migrator.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/tk_clock.h"

/* The advisory lock: an arbitrary number that is tako's, "tako" in ASCII. */
#define LOCK_KEY "1952541551"

/* The server ends statements itself, and earlier; these are for one that says nothing. */
#define CALL_TIMEOUT_MS      40000
#define MIGRATION_TIMEOUT_MS (11 * 60000)
#define OUTSIDE_TIMEOUT_MS   (121 * 60000)

#define PAUSE_MS            250
#define TELL_AGAIN_AFTER_MS 10000

static const char session_limits[] =
    "SET statement_timeout = '30s'; SET lock_timeout = '3s'; "
    "SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'";

/* SHARE UPDATE EXCLUSIVE on this table is what Ecto's own migrator takes. */
static const char begin_migration[] = "BEGIN; SET LOCAL statement_timeout = '10min'; "
                                      "LOCK TABLE schema_migrations IN SHARE UPDATE EXCLUSIVE MODE";

/* CREATE INDEX CONCURRENTLY waits for old transactions, and lets everybody work meanwhile. */
static const char begin_outside[] = "SET statement_timeout = '2h'; SET lock_timeout = '30min'";

static const char find_lock_holder[] =
    "SELECT format('process %s (%s) since %s s', pid, coalesce(application_name, ''), "
    "coalesce(extract(epoch FROM now() - backend_start)::int, 0)) "
    "FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = " LOCK_KEY
    " AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = "
    "current_database()) LIMIT 1";

static const char find_old_transactions[] =
    "SELECT string_agg(format('process %s (%s) since %s s', pid, coalesce(application_name, ''), "
    "age), ', ') FROM (SELECT pid, application_name, extract(epoch FROM now() - xact_start)::int "
    "AS age FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND xact_start < now() - interval '2 seconds' ORDER BY xact_start LIMIT 3) AS oldest";

static const char find_version_table[] =
    "SELECT CASE WHEN to_regclass('schema_migrations') IS NULL THEN 'absent' "
    "WHEN count(*) = 2 THEN 'good' ELSE 'bad' END FROM pg_attribute "
    "WHERE attrelid = to_regclass('schema_migrations') AND NOT attisdropped AND "
    "((attname = 'version' AND atttypid = 'bigint'::regtype) OR "
    "(attname = 'inserted_at' AND atttypid = 'timestamp'::regtype))";

static const char create_version_table[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version bigint PRIMARY KEY, inserted_at timestamp(0) without time zone)";

static const char read_versions[] =
    "SELECT version, coalesce(to_char(inserted_at, 'YYYY-MM-DD HH24:MI:SS'), '') "
    "FROM schema_migrations ORDER BY version";

static const char write_version[] = "INSERT INTO schema_migrations (version, inserted_at) "
                                    "VALUES ($1::bigint, now() AT TIME ZONE 'utc')";

struct row {
    int64_t version;
    char applied_at[32];
};

/* What schema_migrations says. */
struct rows {
    struct row *items; /* by version */
    size_t count;
};

/* A patient wait that tells now and then whom it is for. */
struct wait {
    int64_t give_up_ms;
    int64_t tell_ms;
};

static struct wait wait_begin(const struct migrator *m)
{
    int64_t now = tk_clock_ms();

    return (struct wait){.give_up_ms = now + m->wait_ms, .tell_ms = now};
}

static enum tk_err TK_PRINTF(3, 4)
    fail(struct database_failure *failure, enum tk_err err, const char *fmt, ...)
{
    va_list args;

    failure->sqlstate[0] = '\0';
    va_start(args, fmt);
    vsnprintf(failure->text, sizeof(failure->text), fmt, args);
    va_end(args);
    return err;
}

static enum tk_err run(const struct migrator *m, const char *sql, PGresult **result,
                       struct database_failure *failure)
{
    return database_run(m->conn, sql, 0, NULL, CALL_TIMEOUT_MS, result, failure);
}

/* The one text that sql selects. */
static enum tk_err ask(const struct migrator *m, const char *sql, char *text, size_t size,
                       struct database_failure *failure)
{
    PGresult *result = NULL;
    enum tk_err err = run(m, sql, &result, failure);

    if (!err)
        snprintf(text, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return err;
}

/*
 * Somebody holds what is needed. Tells so and pauses; TK_ETIMEOUT when the time is over. find_whom
 * selects who it is.
 */
static enum tk_err wait_once(const struct migrator *m, struct wait *wait, const char *what,
                             const char *find_whom, struct database_failure *failure)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    char whom[512], line[640];
    int64_t now = tk_clock_ms();
    bool is_over = now >= wait->give_up_ms;

    if (is_over || now >= wait->tell_ms) {
        enum tk_err err = ask(m, find_whom, whom, sizeof(whom), failure);
        if (err)
            return err;
        if (whom[0] == '\0')
            snprintf(whom, sizeof(whom), "a session that is not to be seen from here");
        if (is_over)
            return fail(failure, TK_ETIMEOUT, "gave up after %d s: %s: %s", m->wait_ms / 1000, what,
                        whom);
        snprintf(line, sizeof(line), "waiting up to %d s more: %s: %s",
                 (int)((wait->give_up_ms - now + 999) / 1000), what, whom);
        m->on_wait(m->arg, line);
        wait->tell_ms = now + TELL_AGAIN_AFTER_MS;
    }
    nanosleep(&pause, NULL);
    return TK_OK;
}

/*
 * Until the session ends. Asking again and again rather than waiting in the server: a waiting
 * statement holds a snapshot, which a CREATE INDEX CONCURRENTLY of the other migrator would wait
 * for in turn, for ever.
 */
static enum tk_err take_lock(const struct migrator *m, struct database_failure *failure)
{
    struct wait wait = wait_begin(m);
    enum tk_err err = TK_OK;
    char answer[8];

    while (!err) {
        err = ask(m, "SELECT pg_try_advisory_lock(" LOCK_KEY ")", answer, sizeof(answer), failure);
        if (!err && answer[0] == 't')
            return TK_OK;
        if (!err)
            err = wait_once(m, &wait, "another migration is running", find_lock_holder, failure);
    }
    return err;
}

/* *is_there: schema_migrations exists, and is as Ecto makes it. */
static enum tk_err check_version_table(const struct migrator *m, bool *is_there,
                                       struct database_failure *failure)
{
    char answer[16];
    enum tk_err err = ask(m, find_version_table, answer, sizeof(answer), failure);

    if (!err && strcmp(answer, "bad") == 0)
        err = fail(failure, TK_EINVAL,
                   "the table schema_migrations is not what Ecto and tako use: it must have the "
                   "columns version bigint and inserted_at timestamp.\n"
                   "Another program seems to own this database; give tako one of its own.");
    if (!err)
        *is_there = strcmp(answer, "good") == 0;
    return err;
}

static enum tk_err read_rows(const struct migrator *m, struct rows *rows,
                             struct database_failure *failure)
{
    PGresult *result = NULL;
    enum tk_err err = run(m, read_versions, &result, failure);

    if (err)
        return err;
    rows->count = (size_t)PQntuples(result);
    rows->items = tk_xcalloc(rows->count + 1, sizeof(*rows->items));
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->items[i];
        row->version = strtoll(PQgetvalue(result, (int)i, 0), NULL, 10);
        snprintf(row->applied_at, sizeof(row->applied_at), "%s", PQgetvalue(result, (int)i, 1));
    }
    PQclear(result);
    return TK_OK;
}

static bool is_applied(const struct rows *rows, int64_t version)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->items[i].version == version)
            return true;
    }
    return false;
}

static enum tk_err record(const struct migrator *m, const struct migration *migration,
                          struct database_failure *failure)
{
    char version[24];

    snprintf(version, sizeof(version), "%" PRId64, migration->version);
    return database_run(m->conn, write_version, 1, (const char *[]){version}, CALL_TIMEOUT_MS, NULL,
                        failure);
}

static enum tk_err try_inside(const struct migrator *m, const struct migration *migration,
                              struct database_failure *failure)
{
    struct database_failure ignored;
    enum tk_err err = run(m, begin_migration, NULL, failure);

    if (!err)
        err = database_run(m->conn, migration->sql, 0, NULL, MIGRATION_TIMEOUT_MS, NULL, failure);
    if (!err && PQtransactionStatus(m->conn) != PQTRANS_INTRANS)
        return fail(failure, TK_EINVAL, "it ends its transaction itself, which it must not");
    if (!err)
        err = record(m, migration, failure);
    if (!err)
        err = run(m, "COMMIT", NULL, failure);
    if (err == TK_EIO && run(m, "ROLLBACK", NULL, &ignored) != TK_OK)
        return TK_EUNAVAIL; /* lost as well; failure tells what came first */
    return err;
}

static enum tk_err apply_inside(const struct migrator *m, const struct migration *migration,
                                struct database_failure *failure)
{
    struct wait wait = wait_begin(m);
    enum tk_err err;

    do {
        err = try_inside(m, migration, failure);
        if (err != TK_EIO || strcmp(failure->sqlstate, SQLSTATE_LOCK_TIMEOUT) != 0)
            return err;
        err = wait_once(m, &wait, "a lock is held; the oldest transactions", find_old_transactions,
                        failure);
    } while (!err);
    return err;
}

static enum tk_err run_statements(const struct migrator *m, const char *sql,
                                  struct database_failure *failure)
{
    struct tk_slice rest = tk_slice_str(sql), statement;
    enum tk_err err = TK_OK;

    while (!err && migration_next_statement(&rest, &statement)) {
        char *text = tk_xstrndup(statement.ptr, statement.len);
        err = database_run(m->conn, text, 0, NULL, OUTSIDE_TIMEOUT_MS, NULL, failure);
        free(text);
    }
    return err;
}

/* Its row comes last: when something fails in between, the migration runs again from its start. */
static enum tk_err apply_outside(const struct migrator *m, const struct migration *migration,
                                 struct database_failure *failure)
{
    enum tk_err err = run(m, begin_outside, NULL, failure);

    if (!err)
        err = run_statements(m, migration->sql, failure);
    if (!err && PQtransactionStatus(m->conn) != PQTRANS_IDLE)
        err = fail(failure, TK_EINVAL, "it begins a transaction and does not end it");
    if (!err)
        err = run(m, session_limits, NULL, failure);
    return err ? err : record(m, migration, failure);
}

static enum tk_err apply(const struct migrator *m, const struct migration *migration,
                         struct database_failure *failure)
{
    int64_t start = tk_clock_ms();
    char line[256];
    enum tk_err err = migration->is_outside_transaction ? apply_outside(m, migration, failure)
                                                        : apply_inside(m, migration, failure);

    if (err) {
        struct database_failure cause = *failure;
        return fail(failure, err, "%" PRId64 "_%s: %.900s%s%s", migration->version, migration->name,
                    cause.text, cause.sqlstate[0] != '\0' ? "\nSQLSTATE " : "", cause.sqlstate);
    }
    snprintf(line, sizeof(line), "applied %" PRId64 " %s (%lld ms)", migration->version,
             migration->name, (long long)(tk_clock_ms() - start));
    m->on_done(m->arg, line);
    return TK_OK;
}

static enum tk_err apply_pending(const struct migrator *m, const struct rows *rows, size_t *applied,
                                 struct database_failure *failure)
{
    enum tk_err err = TK_OK;

    for (size_t i = 0; i < m->migrations->count && !err; i++) {
        const struct migration *migration = &m->migrations->items[i];
        if (is_applied(rows, migration->version))
            continue;
        err = apply(m, migration, failure);
        if (!err)
            ++*applied;
    }
    return err;
}

enum tk_err migrator_run(const struct migrator *m, size_t *applied,
                         struct database_failure *failure)
{
    struct rows rows = {0};
    bool is_there = false;

    *applied = 0;
    enum tk_err err = run(m, session_limits, NULL, failure);
    if (!err)
        err = take_lock(m, failure);
    if (!err)
        err = check_version_table(m, &is_there, failure);
    if (!err && !is_there)
        err = run(m, create_version_table, NULL, failure);
    if (!err)
        err = read_rows(m, &rows, failure);
    if (!err)
        err = apply_pending(m, &rows, applied, failure);
    free(rows.items);
    return err;
}

static void tell_pending(const struct migration *migration, migrator_status_fn fn, void *arg)
{
    fn(arg, MIGRATION_PENDING, migration->version, migration, "");
}

static void tell_row(const struct migrator *m, const struct row *row, migrator_status_fn fn,
                     void *arg)
{
    const struct migration *migration = migration_list_find(m->migrations, row->version);

    fn(arg, migration != NULL ? MIGRATION_APPLIED : MIGRATION_FOREIGN, row->version, migration,
       row->applied_at);
}

/* Both lists are in order of version. */
static void merge(const struct migrator *m, const struct rows *rows, migrator_status_fn fn,
                  void *arg)
{
    size_t next = 0;

    for (size_t i = 0; i < m->migrations->count; i++) {
        const struct migration *migration = &m->migrations->items[i];
        while (next < rows->count && rows->items[next].version < migration->version)
            tell_row(m, &rows->items[next++], fn, arg);
        if (next < rows->count && rows->items[next].version == migration->version)
            tell_row(m, &rows->items[next++], fn, arg);
        else
            tell_pending(migration, fn, arg);
    }
    while (next < rows->count)
        tell_row(m, &rows->items[next++], fn, arg);
}

enum tk_err migrator_status(const struct migrator *m, migrator_status_fn fn, void *arg,
                            struct database_failure *failure)
{
    struct rows rows = {0};
    bool is_there = false;

    enum tk_err err = run(m, session_limits, NULL, failure);
    if (!err)
        err = check_version_table(m, &is_there, failure);
    if (!err && is_there)
        err = read_rows(m, &rows, failure);
    if (!err)
        merge(m, &rows, fn, arg);
    free(rows.items);
    return err;
}
