/* SPDX-License-Identifier: MIT */
/*
 * The PostgreSQL connection of `takoctl migrate`: plain SQL, text results, one time limit per call.
 * (The users' table has accounts/db_link.h, which is about prepared statements and reconnecting.)
 */
#pragma once

#include <libpq-fe.h>

#include "common/tk_base.h"

/* What PostgreSQL said. Its text is about our own SQL, never about values of users. */
struct database_failure {
    char sqlstate[6]; /* "" when it did not come from the server */
    char text[1024];  /* message, then detail and hint, each on a line of its own */
};

#define SQLSTATE_LOCK_TIMEOUT "55P03"

/* TK_EUNAVAIL or TK_ETIMEOUT with failure. The caller owns *conn: PQfinish. */
enum tk_err database_open(const char *conninfo, PGconn **conn,
                          struct database_failure *failure) TK_MUST_CHECK;

/*
 * Runs sql, which may be several statements when there are no parameters; the last result goes to
 * *result (NULL: nobody wants it). TK_EIO: the server refuses; TK_EUNAVAIL: the connection is lost;
 * TK_ETIMEOUT: no answer in time, and the connection must not be used any more. All with failure.
 * statement_timeout, which should be shorter, is what ends a slow statement; timeout_ms is for a
 * server that says nothing at all.
 */
enum tk_err database_run(PGconn *conn, const char *sql, int params, const char *const *values,
                         int timeout_ms, PGresult **result,
                         struct database_failure *failure) TK_MUST_CHECK;
