/* SPDX-License-Identifier: MIT */
/*
 * The users table (H56), through one synchronous libpq connection: what tako-api and takoctl do
 * with it. Statements are prepared once per connection. Rules about values are not here (nickname.h
 * and the callers); this is the storage.
 */
#pragma once

#include "common/tk_base.h"
#include "common/tk_buf.h"
#include "common/tk_uuid.h"

/* One row as stored, legacy values included (H57). Zero-initialise; user_fini frees the nickname.
 */
struct user {
    struct tk_uuid id;
    char *nickname;  /* NULL for null; terminated (PostgreSQL text holds no NUL) */
    bool has_stamps; /* false: stored null */
    int64_t stamps_collected;
    int64_t updated_us; /* microseconds since 1970, UTC; the ETag (H101) */
};
void user_fini(struct user *user);

/* What a request wants to change; only members that are set are written (H68, H72). */
struct user_changes {
    bool set_nickname;
    const char *nickname; /* NULL: store null */
    bool set_stamps;
    int64_t stamps_collected;
    bool if_unchanged; /* only when the row's updated_us still is expected_updated_us (If-Match) */
    int64_t expected_updated_us;
};

/*
 * A connection with its prepared statements, opened on first use and again after it was lost.
 * Every call has a deadline (timeout_ms, connect and statement). Errors: TK_EUNAVAIL (database away
 * or busy: H92, H93), TK_EINVAL (the database refuses the value: 22021, 22003), TK_EIO (anything
 * else; logged with its SQLSTATE, never with values).
 */
struct users_db;
struct users_db *users_db_new(const char *conninfo, int timeout_ms); /* copies; does not connect */
void users_db_free(struct users_db *db);

/* Inserts with a fresh random id and both time stamps set to the same UTC instant (H63). */
enum tk_err users_create(struct users_db *db, const struct user_changes *values,
                         struct user *created) TK_MUST_CHECK;

/*
 * The same at most once in 24 hours per key (H103), in one statement: user and key are stored
 * together or not at all. Both members are digests; request tells whether a key that comes again
 * comes with the same request.
 */
struct users_once {
    uint8_t key[32], request[32];
};

enum users_outcome {
    USERS_CREATED,
    USERS_REPLAYED,      /* created before; *user is as it was then */
    USERS_OTHER_REQUEST, /* the key belongs to another request; no user */
    USERS_RUNNING,       /* somebody is at it right now; no user */
};
enum tk_err users_create_once(struct users_db *db, const struct user_changes *values,
                              const struct users_once *once, struct user *user,
                              enum users_outcome *outcome) TK_MUST_CHECK;

enum tk_err users_get(struct users_db *db, const struct tk_uuid *id,
                      struct user *found) TK_MUST_CHECK; /* TK_ENOTFOUND */

/*
 * One atomic statement. Values equal to the stored ones write nothing and leave updated_us alone
 * (H69); *changed tells. TK_ENOTFOUND when there is no such user, TK_EDENIED when if_unchanged does
 * not hold.
 */
enum tk_err users_update(struct users_db *db, const struct tk_uuid *id,
                         const struct user_changes *changes, struct user *updated,
                         bool *changed) TK_MUST_CHECK;

/* Which users, in which order (H78-H80). Zero-initialised: all, oldest first, a page of none. */
enum user_column { USER_COLUMN_ID, USER_COLUMN_NICKNAME, USER_COLUMN_STAMPS, USER_COLUMN_COUNT };

struct user_sort_key {
    enum user_column column;
    bool descending;
};

struct user_selection {
    struct user_sort_key sort[USER_COLUMN_COUNT]; /* each column at most once; ties go by id */
    size_t sort_count;
    bool filter[USER_COLUMN_COUNT]; /* which of the three values below must be matched exactly */
    struct tk_uuid id;
    struct tk_slice nickname; /* without NUL */
    int64_t stamps_collected;
    bool is_empty; /* a filter that nobody passes */
    unsigned limit, offset;
};

/* fn is called for each before the call returns. *more: there are others behind this page. */
typedef void (*user_row_fn)(void *arg, const struct user *user);
enum tk_err users_list(struct users_db *db, const struct user_selection *selection, user_row_fn fn,
                       void *arg, bool *more) TK_MUST_CHECK;

/* The leaderboard (H85, H86), best first; fn is called for each row before the call returns. */
typedef void (*leaderboard_row_fn)(void *arg, struct tk_slice nickname, int64_t stamps);
enum tk_err users_leaderboard(struct users_db *db, unsigned limit, leaderboard_row_fn fn,
                              void *arg) TK_MUST_CHECK;

/* Does the database answer, and is the table there? For readiness checks. */
enum tk_err users_ping(struct users_db *db) TK_MUST_CHECK;
