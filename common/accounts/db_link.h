/* SPDX-License-Identifier: MIT */
/*
 * One synchronous PostgreSQL connection that never waits longer than it was told: opened on first
 * use, statements prepared on theirs, opened again after it was lost. What users.c is written on.
 *
 * Only the resolution of a host name in the address happens outside the deadline (libpq offers no
 * other way); an address, localhost or a unix socket has none.
 */
#pragma once

#include <libpq-fe.h>

#include "common/tk_base.h"

/*
 * A prepared statement: constant; all of one link have different numbers below 32. Without a name
 * it is not prepared but planned for this one call, its number does not matter, and it need not
 * outlive the call.
 */
struct db_statement {
    const char *name;
    const char *sql;
    unsigned number;
    int params;
};

struct db_link;

struct db_link *db_link_new(const char *conninfo, int timeout_ms); /* copies; does not connect */
void db_link_free(struct db_link *link);

/*
 * Runs one statement: text parameters in (NULL for null), binary columns out. On TK_OK the caller
 * clears *result. A serialization failure or deadlock is tried once more, since such a statement
 * has surely written nothing; a lost connection is not, since nobody knows. Errors as in users.h.
 */
enum tk_err db_link_run(struct db_link *link, const struct db_statement *statement,
                        const char *const *params, PGresult **result) TK_MUST_CHECK;

/* Where an SQLSTATE leads (H93). NULL stands for a lost connection. */
struct db_verdict {
    enum tk_err err;
    bool try_again; /* nothing was written, and another try may well succeed */
    bool reconnect; /* the connection or its prepared statements are not to be trusted any more */
};
struct db_verdict db_verdict_of(const char *sqlstate);
