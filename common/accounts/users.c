/* SPDX-License-Identifier: MIT */
/*
 * The statements on the users table. Each call is one statement and so one transaction: what it
 * writes is all there or not at all. Both time stamps are UTC whatever the session's time zone is
 * (H56, H63), and updated_at of a row only ever grows, so that it can serve as the row's version.
 */
#include "common/accounts/users.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/accounts/db_link.h"
#include "common/tk_hex.h"

/* Microseconds from 1970 to 2000, where PostgreSQL's binary timestamps begin. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)

struct users_db {
    struct db_link *link;
};

#define COLUMNS "id::uuid, nickname::text, stamps_collected::bigint, updated_at::timestamp"
enum { COLUMN_ID, COLUMN_NICKNAME, COLUMN_STAMPS, COLUMN_UPDATED, COLUMN_COUNT };

enum { CREATE, CREATE_ONCE, GET, UPDATE, LEADERBOARD, PING };

static const struct db_statement statements[] = {
    [CREATE] = {"users_create",
                "INSERT INTO users (id, nickname, stamps_collected, inserted_at, updated_at) "
                "VALUES ($1::uuid, $2::text, $3::bigint, now() AT TIME ZONE 'utc', "
                "now() AT TIME ZONE 'utc') RETURNING " COLUMNS,
                CREATE, 3},
    /*
     * $4 is the key, $5 the request, $6 the lock that says who is at it: whoever finds it taken
     * does not wait. A row whose time is over is taken over; others of that kind are swept up.
     */
    [CREATE_ONCE] =
        {"users_create_once",
         "WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($6::bigint) AS is_open), "
         "swept AS (DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys "
         "WHERE expires_at <= now() AND key <> $4::bytea LIMIT 4 FOR UPDATE SKIP LOCKED)), "
         "claimed AS (INSERT INTO idempotency_keys AS mine (key, request, user_id, nickname, "
         "stamps_collected, updated_at, expires_at) SELECT $4::bytea, $5::bytea, $1::uuid, "
         "$2::text, $3::bigint, now() AT TIME ZONE 'utc', now() + interval '24 hours' "
         "FROM gate WHERE is_open ON CONFLICT (key) DO UPDATE SET request = excluded.request, "
         "user_id = excluded.user_id, nickname = excluded.nickname, "
         "stamps_collected = excluded.stamps_collected, updated_at = excluded.updated_at, "
         "expires_at = excluded.expires_at WHERE mine.expires_at <= now() RETURNING mine.*), "
         "created AS (INSERT INTO users (id, nickname, stamps_collected, inserted_at, updated_at) "
         "SELECT user_id, nickname, stamps_collected, updated_at, updated_at FROM claimed) "
         "SELECT user_id, nickname, stamps_collected, updated_at, true, true FROM claimed "
         "UNION ALL SELECT user_id, nickname, stamps_collected, updated_at, false, "
         "request = $5::bytea FROM idempotency_keys WHERE key = $4::bytea AND expires_at > now() "
         "AND NOT EXISTS (SELECT FROM claimed)",
         CREATE_ONCE, 6},
    [GET] = {"users_get", "SELECT " COLUMNS " FROM users WHERE id = $1::uuid", GET, 1},
    /*
     * $2 and $4 tell which columns are sent, $6 is the expected version or null. The row is locked
     * first, so that "is it a change?" and the change itself see the same values.
     */
    [UPDATE] = {"users_update",
                "WITH old AS (SELECT * FROM users WHERE id = $1::uuid FOR UPDATE), "
                "written AS (UPDATE users AS u SET "
                "nickname = CASE WHEN $2::boolean THEN $3::text ELSE u.nickname END, "
                "stamps_collected = CASE WHEN $4::boolean THEN $5::bigint "
                "ELSE u.stamps_collected END, "
                "updated_at = greatest(now() AT TIME ZONE 'utc', "
                "old.updated_at + interval '1 microsecond') "
                "FROM old WHERE u.id = old.id AND ($6::bigint IS NULL OR "
                "(extract(epoch FROM old.updated_at) * 1000000)::bigint = $6::bigint) AND "
                "(($2::boolean AND old.nickname IS DISTINCT FROM $3::text) OR "
                "($4::boolean AND old.stamps_collected IS DISTINCT FROM $5::bigint)) "
                "RETURNING u.*) "
                "SELECT " COLUMNS ", true FROM written UNION ALL "
                "SELECT " COLUMNS ", false FROM old WHERE NOT EXISTS (SELECT FROM written)",
                UPDATE, 6},
    [LEADERBOARD] = {"users_leaderboard",
                     "SELECT nickname::text, stamps_collected::bigint FROM users "
                     "WHERE nickname IS NOT NULL "
                     "ORDER BY stamps_collected DESC NULLS LAST, inserted_at, id LIMIT $1::bigint",
                     LEADERBOARD, 1},
    [PING] = {"users_ping", "SELECT FROM users LIMIT 0", PING, 0},
};

/* Nulls are larger than everything, which is PostgreSQL's own rule (H78). */
static const char list_sql[] = "SELECT " COLUMNS " FROM users WHERE ($1::uuid IS NULL OR id = $1) "
                               "AND ($2::text IS NULL OR nickname = $2) "
                               "AND ($3::bigint IS NULL OR stamps_collected = $3) "
                               "AND NOT $4::boolean ORDER BY ";
static const char list_page_sql[] = " LIMIT $5::bigint OFFSET $6::bigint";

struct int_text {
    char text[24];
};

static const char *int_text(struct int_text *out, int64_t value)
{
    snprintf(out->text, sizeof(out->text), "%" PRId64, value);
    return out->text;
}

static enum tk_err run(struct users_db *db, int statement, const char *const *params,
                       PGresult **result)
{
    return db_link_run(db->link, &statements[statement], params, result);
}

struct users_db *users_db_new(const char *conninfo, int timeout_ms)
{
    struct users_db *db = tk_xcalloc(1, sizeof(*db));

    db->link = db_link_new(conninfo, timeout_ms);
    return db;
}

void users_db_free(struct users_db *db)
{
    if (db == NULL)
        return;
    db_link_free(db->link);
    free(db);
}

void user_fini(struct user *user)
{
    free(user->nickname);
    *user = (struct user){0};
}

static int64_t int64_at(const PGresult *result, int row, int column)
{
    int64_t value;

    tk_assert(PQgetlength(result, row, column) == sizeof(value));
    memcpy(&value, PQgetvalue(result, row, column), sizeof(value));
    return (int64_t)be64toh((uint64_t)value);
}

static bool bool_at(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] != 0;
}

static void read_user(const PGresult *result, int row, struct user *user)
{
    *user = (struct user){0};
    tk_assert(PQgetlength(result, row, COLUMN_ID) == sizeof(user->id.bytes));
    memcpy(user->id.bytes, PQgetvalue(result, row, COLUMN_ID), sizeof(user->id.bytes));
    if (!PQgetisnull(result, row, COLUMN_NICKNAME))
        user->nickname = tk_xstrndup(PQgetvalue(result, row, COLUMN_NICKNAME),
                                     (size_t)PQgetlength(result, row, COLUMN_NICKNAME));
    user->has_stamps = !PQgetisnull(result, row, COLUMN_STAMPS);
    if (user->has_stamps)
        user->stamps_collected = int64_at(result, row, COLUMN_STAMPS);
    /* 'infinity' is a valid timestamp; it saturates here. */
    if (__builtin_add_overflow(int64_at(result, row, COLUMN_UPDATED), POSTGRES_EPOCH_US,
                               &user->updated_us))
        user->updated_us = INT64_MAX;
}

/* The user in the only row, and whether the row behind its columns says true. */
static enum tk_err take_user(PGresult *result, struct user *user, bool *flag)
{
    enum tk_err err = TK_ENOTFOUND;

    if (PQntuples(result) > 0) {
        read_user(result, 0, user);
        if (flag != NULL)
            *flag = bool_at(result, 0, COLUMN_COUNT);
        err = TK_OK;
    }
    PQclear(result);
    return err;
}

enum tk_err users_create(struct users_db *db, const struct user_changes *values,
                         struct user *created)
{
    struct tk_uuid id;
    char id_text[TK_UUID_LEN + 1];
    struct int_text stamps = {0};
    PGresult *result = NULL;

    tk_uuid_random(&id);
    const char *params[] = {tk_uuid_format(&id, id_text),
                            values->set_nickname ? values->nickname : NULL,
                            int_text(&stamps, values->set_stamps ? values->stamps_collected : 0)};
    enum tk_err err = run(db, CREATE, params, &result);
    return err ? err : take_user(result, created, NULL);
}

struct digest_text {
    char text[2 + 2 * sizeof(((struct users_once *)NULL)->key) + 1];
};

/* As PostgreSQL reads bytea. */
static const char *digest_text(struct digest_text *out, const uint8_t *digest)
{
    char *at = out->text;

    *at++ = '\\';
    *at++ = 'x';
    for (size_t i = 0; i < sizeof(((struct users_once *)NULL)->key); i++) {
        *at++ = tk_hex_digit(digest[i] >> 4);
        *at++ = tk_hex_digit(digest[i]);
    }
    *at = '\0';
    return out->text;
}

/* The columns behind the user's: is the row new, and is the request the one of the row? */
static void take_outcome(PGresult *result, struct user *user, enum users_outcome *outcome)
{
    if (PQntuples(result) == 0)
        *outcome = USERS_RUNNING;
    else if (!bool_at(result, 0, COLUMN_COUNT + 1))
        *outcome = USERS_OTHER_REQUEST;
    else
        *outcome = bool_at(result, 0, COLUMN_COUNT) ? USERS_CREATED : USERS_REPLAYED;
    if (*outcome == USERS_CREATED || *outcome == USERS_REPLAYED)
        read_user(result, 0, user);
    PQclear(result);
}

enum tk_err users_create_once(struct users_db *db, const struct user_changes *values,
                              const struct users_once *once, struct user *user,
                              enum users_outcome *outcome)
{
    struct tk_uuid id;
    char id_text[TK_UUID_LEN + 1];
    struct digest_text key, request;
    struct int_text stamps, lock;
    PGresult *result = NULL;
    uint64_t lock_number;

    tk_uuid_random(&id);
    memcpy(&lock_number, once->key, sizeof(lock_number));
    const char *params[] = {
        tk_uuid_format(&id, id_text),
        values->set_nickname ? values->nickname : NULL,
        int_text(&stamps, values->set_stamps ? values->stamps_collected : 0),
        digest_text(&key, once->key),
        digest_text(&request, once->request),
        int_text(&lock, (int64_t)be64toh(lock_number)),
    };
    enum tk_err err = run(db, CREATE_ONCE, params, &result);
    if (!err)
        take_outcome(result, user, outcome);
    return err;
}

enum tk_err users_get(struct users_db *db, const struct tk_uuid *id, struct user *found)
{
    char id_text[TK_UUID_LEN + 1];
    const char *params[] = {tk_uuid_format(id, id_text)};
    PGresult *result = NULL;

    enum tk_err err = run(db, GET, params, &result);
    return err ? err : take_user(result, found, NULL);
}

enum tk_err users_update(struct users_db *db, const struct tk_uuid *id,
                         const struct user_changes *changes, struct user *updated, bool *changed)
{
    char id_text[TK_UUID_LEN + 1];
    struct int_text stamps = {0}, version = {0};
    const char *params[] = {
        tk_uuid_format(id, id_text),
        changes->set_nickname ? "true" : "false",
        changes->set_nickname ? changes->nickname : NULL,
        changes->set_stamps ? "true" : "false",
        changes->set_stamps ? int_text(&stamps, changes->stamps_collected) : NULL,
        changes->if_unchanged ? int_text(&version, changes->expected_updated_us) : NULL,
    };
    PGresult *result = NULL;
    bool written;

    enum tk_err err = run(db, UPDATE, params, &result);
    if (!err)
        err = take_user(result, updated, &written);
    if (err)
        return err;
    if (!written && changes->if_unchanged && updated->updated_us != changes->expected_updated_us) {
        user_fini(updated);
        return TK_EDENIED;
    }
    *changed = written;
    return TK_OK;
}

/* Made of constants only; whatever a client sent is in the parameters. */
static void write_list_sql(const struct user_selection *selection, struct tk_buf *sql)
{
    static const char *const columns[] = {[USER_COLUMN_ID] = "id",
                                          [USER_COLUMN_NICKNAME] = "nickname",
                                          [USER_COLUMN_STAMPS] = "stamps_collected"};

    tk_buf_append_str(sql, list_sql);
    for (size_t i = 0; i < selection->sort_count; i++)
        tk_buf_appendf(sql, "users.%s%s, ", columns[selection->sort[i].column],
                       selection->sort[i].descending ? " DESC" : "");
    tk_buf_append_str(sql, selection->sort_count > 0 ? "users.id" : "inserted_at, users.id");
    tk_buf_append_str(sql, list_page_sql);
}

static enum tk_err run_list(struct users_db *db, const struct user_selection *selection,
                            PGresult **result)
{
    struct int_text stamps, limit, offset;
    char id[TK_UUID_LEN + 1];
    struct tk_buf sql = {0};
    char *nickname = selection->filter[USER_COLUMN_NICKNAME]
                         ? tk_xstrndup(selection->nickname.ptr, selection->nickname.len)
                         : NULL;
    /* One more than asked for tells whether there is a next page. */
    const char *params[] = {
        selection->filter[USER_COLUMN_ID] ? tk_uuid_format(&selection->id, id) : NULL,
        nickname,
        selection->filter[USER_COLUMN_STAMPS] ? int_text(&stamps, selection->stamps_collected)
                                              : NULL,
        selection->is_empty ? "true" : "false",
        int_text(&limit, (int64_t)selection->limit + 1),
        int_text(&offset, selection->offset),
    };

    write_list_sql(selection, &sql);
    struct db_statement statement = {.sql = tk_buf_str(&sql), .params = TK_ARRAY_LEN(params)};
    enum tk_err err = db_link_run(db->link, &statement, params, result);
    tk_buf_fini(&sql);
    free(nickname);
    return err;
}

enum tk_err users_list(struct users_db *db, const struct user_selection *selection, user_row_fn fn,
                       void *arg, bool *more)
{
    PGresult *result = NULL;

    enum tk_err err = run_list(db, selection, &result);
    if (err)
        return err;
    int rows = PQntuples(result);
    *more = rows > 0 && (unsigned)rows > selection->limit;
    for (int row = 0; row < rows && (unsigned)row < selection->limit; row++) {
        struct user user;
        read_user(result, row, &user);
        fn(arg, &user);
        user_fini(&user);
    }
    PQclear(result);
    return TK_OK;
}

enum tk_err users_leaderboard(struct users_db *db, unsigned limit, leaderboard_row_fn fn, void *arg)
{
    struct int_text limit_text = {0};
    const char *params[] = {int_text(&limit_text, limit)};
    PGresult *result = NULL;

    enum tk_err err = run(db, LEADERBOARD, params, &result);
    if (err)
        return err;
    for (int row = 0; row < PQntuples(result); row++) {
        struct tk_slice nickname =
            tk_slice(PQgetvalue(result, row, 0), (size_t)PQgetlength(result, row, 0));
        int64_t stamps = PQgetisnull(result, row, 1) ? 0 : int64_at(result, row, 1);
        fn(arg, nickname, stamps > 0 ? stamps : 0);
    }
    PQclear(result);
    return TK_OK;
}

enum tk_err users_ping(struct users_db *db)
{
    PGresult *result = NULL;
    enum tk_err err = run(db, PING, NULL, &result);

    PQclear(result);
    return err;
}
