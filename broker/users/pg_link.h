/* SPDX-License-Identifier: MIT */
/*
 * A few asynchronous libpq connections on the libuv loop that run one prepared statement. Each runs
 * it for one caller at a time; a lost connection comes back with backoff. Not here: what is asked
 * (user_directory).
 */
#pragma once

#include <libpq-fe.h>
#include <uv.h>

#include "common/tk_base.h"

struct pg_link;

struct pg_link_options {
    const char *conninfo; /* borrowed until close */
    const char *statement_name;
    const char *statement; /* prepared on every new connection; takes one text parameter */
    int connections;
    int connect_timeout_ms;   /* for the connect, and again for preparing the statement */
    int statement_timeout_ms; /* past it the connection is dropped and the statement fails */
};

/*
 * A connection became free, the database came (back), or it turned out to be away: look at
 * pg_link_has_idle and pg_link_is_failing again. Runs from the loop only; may execute, may close.
 */
typedef void (*pg_link_change_fn)(void *arg);

/*
 * Starts connecting, all connections at once. libpq resolves host names synchronously at every
 * attempt, which holds the loop: prefer an address (hostaddr=) or a unix socket.
 */
struct pg_link *pg_link_open(uv_loop_t *loop, const struct pg_link_options *options,
                             pg_link_change_fn on_change, void *arg);

/* Statements in flight get their callback with TK_EUNAVAIL before this returns; none after. */
void pg_link_close(struct pg_link *link); /* NULL is fine */

bool pg_link_has_idle(const struct pg_link *link); /* pg_link_execute would be accepted */

/* At least one connection works and has the statement prepared. */
bool pg_link_is_up(const struct pg_link *link);

/*
 * No connection works, and not for want of a first try: one was lost and could not be made again,
 * or the database refuses the statement. While the very first connect is tried this is false.
 */
bool pg_link_is_failing(const struct pg_link *link);

/*
 * result is the link's, its status PGRES_TUPLES_OK or PGRES_COMMAND_OK; NULL unless err is TK_OK.
 * TK_EUNAVAIL: the connection was lost, asking again may work. TK_ETIMEOUT: so it was, because the
 * deadline passed. TK_EIO: the database refused the statement (logged once a minute). Never called
 * before pg_link_execute returned.
 */
typedef void (*pg_result_fn)(void *arg, enum tk_err err, const PGresult *result);

/* Runs the statement with one parameter (copied). TK_EUNAVAIL when no connection is idle. */
enum tk_err pg_link_execute(struct pg_link *link, const char *parameter, pg_result_fn fn,
                            void *arg) TK_MUST_CHECK;

/* The functions above, for a module whose tests put a database of their own in their place. */
struct pg_link_ops {
    struct pg_link *(*open)(uv_loop_t *loop, const struct pg_link_options *options,
                            pg_link_change_fn on_change, void *arg);
    void (*close)(struct pg_link *link);
    bool (*has_idle)(const struct pg_link *link);
    bool (*is_up)(const struct pg_link *link);
    bool (*is_failing)(const struct pg_link *link);
    enum tk_err (*execute)(struct pg_link *link, const char *parameter, pg_result_fn fn, void *arg);
};
extern const struct pg_link_ops pg_link_ops;
