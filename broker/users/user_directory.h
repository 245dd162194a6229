/* SPDX-License-Identifier: MIT */
/*
 * Who is this user? Looks users up in PostgreSQL, many in one statement, equal ones merged, every
 * lookup with a deadline; small caches of known and unknown users, kept true by user events (C84,
 * C166, C167).
 *
 * While the database is away (C7: 503 within 3 s): lookups fail at once as soon as a lost
 * connection could not be made again, rather than hold thousands of handshakes for their whole
 * time. Until then, and while a fresh process tries its first connect, they wait for their
 * deadline: a restart of either side is shorter than that, and users need not notice it.
 */
#pragma once

#include <uv.h>

#include "common/envelope.h"
#include "common/tk_base.h"
#include "common/tk_uuid.h"

struct pg_link_ops;
struct user_directory;
struct user_lookup; /* one waiting caller */

struct user_record {
    struct tk_uuid id;
    const char *nickname; /* NULL for null; borrowed for the call */
};

struct user_directory_options {
    const char *conninfo; /* borrowed until close */
    int connections;      /* 2 */
    int lookup_timeout_ms;
    size_t cache_size; /* entries, for known and unknown users each */
    int cache_ms;
    int unknown_cache_ms;
    size_t max_waiting;                 /* callers; past it TK_ELIMIT, answered like TK_EUNAVAIL */
    const struct pg_link_ops *database; /* NULL: PostgreSQL (pg_link); tests have their own */
};

struct user_directory *user_directory_open(uv_loop_t *loop,
                                           const struct user_directory_options *options);
/* Waiting callers are dropped silently: their lookups are no longer valid. NULL is fine. */
void user_directory_close(struct user_directory *dir);

/*
 * The answer without waiting: TK_OK (user->nickname is valid until the next call), TK_ENOTFOUND
 * (known not to exist), or TK_EUNAVAIL (must ask).
 */
enum tk_err user_directory_cached(struct user_directory *dir, const struct tk_uuid *id,
                                  struct user_record *user) TK_MUST_CHECK;

/*
 * err: TK_OK, TK_ENOTFOUND, TK_EUNAVAIL or TK_ETIMEOUT. user is NULL unless TK_OK. The lookup is
 * over: it must not be cancelled any more. May call anything of the directory.
 */
typedef void (*user_lookup_fn)(void *arg, enum tk_err err, const struct user_record *user);

/*
 * Asks the database; the caches are user_directory_cached's business. fn never runs before this
 * returns, and not at all when it fails: TK_ELIMIT when too many wait, TK_EUNAVAIL while the
 * database is known to be away. *lookup is for cancel only.
 */
enum tk_err user_directory_find(struct user_directory *dir, const struct tk_uuid *id,
                                user_lookup_fn fn, void *arg,
                                struct user_lookup **lookup) TK_MUST_CHECK;
void user_directory_cancel(struct user_lookup *lookup); /* fn will not run */

/*
 * What the caches hold of the user is forgotten, and an answer that is under way is asked for
 * again: an event makes nobody known who is not in the database. A missed event costs at most
 * cache_ms.
 */
void user_directory_on_event(struct user_directory *dir, const struct tk_user_event *event);
void user_directory_forget_all(struct user_directory *dir); /* after events may have been missed */
void user_directory_expire(struct user_directory *dir); /* now and then: frees what is outdated */

struct user_directory_stats {
    uint64_t statements;          /* sent */
    uint64_t looked_up;           /* users asked for in them */
    uint64_t cache_hits;          /* known and unknown */
    uint64_t timeouts;            /* callers */
    size_t waiting, peak_waiting; /* callers */
};
const struct user_directory_stats *user_directory_stats(const struct user_directory *dir);
bool user_directory_is_up(const struct user_directory *dir);
