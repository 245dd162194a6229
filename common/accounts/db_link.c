/* SPDX-License-Identifier: MIT */
/*
 * libpq in nonblocking mode, waited for with poll() until a deadline that covers a whole call:
 * connecting, preparing and running. A database that takes the connection and then says nothing
 * (stopped, swapped out, behind a dead link) therefore costs one deadline, not a worker.
 *
 * After such a silence the next calls fail at once for HOLD_OFF_MS: requests that piled up
 * meanwhile get their 503 now instead of a deadline each. A refused connection is no silence and
 * is tried again every time.
 */
#include "common/accounts/db_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"

#define HOLD_OFF_MS 1000

struct db_link {
    char *conninfo;
    int timeout_ms;
    PGconn *conn;      /* NULL: not connected */
    uint32_t prepared; /* bit per statement number, of this connection */
    int64_t silent_until_ms;
    struct tk_log_limit complaints;
};

struct db_link *db_link_new(const char *conninfo, int timeout_ms)
{
    struct db_link *link = tk_xcalloc(1, sizeof(*link));

    link->conninfo = tk_xstrdup(conninfo);
    link->timeout_ms = timeout_ms;
    return link;
}

static void disconnect(struct db_link *link)
{
    PQfinish(link->conn);
    link->conn = NULL;
    link->prepared = 0;
}

void db_link_free(struct db_link *link)
{
    if (link == NULL)
        return;
    disconnect(link);
    free(link->conninfo);
    free(link);
}

/* Once a minute; libpq's message names host and database, never the password. */
static void complain(struct db_link *link, const char *what)
{
    uint64_t suppressed;

    if (tk_log_allow(&link->complaints, (uint64_t)tk_clock_ms(), &suppressed))
        tk_log_error("database %s suppressed=%llu: %s", what, (unsigned long long)suppressed,
                     link->conn != NULL ? PQerrorMessage(link->conn) : "");
}

/* TK_OK when one of the events (POLLIN, POLLOUT) is there, TK_ETIMEOUT at the deadline. */
static enum tk_err wait_for(const struct db_link *link, short events, int64_t deadline)
{
    struct pollfd fd = {.fd = PQsocket(link->conn), .events = events};

    for (;;) {
        int64_t left = deadline - tk_clock_ms();
        if (left <= 0)
            return TK_ETIMEOUT;
        int ready = poll(&fd, 1, (int)left);
        if (ready > 0)
            return TK_OK;
        if (ready < 0 && errno != EINTR)
            return TK_EIO;
    }
}

static enum tk_err finish_connecting(struct db_link *link, int64_t deadline)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING; /* as libpq's manual demands */

    for (;;) {
        enum tk_err err =
            wait_for(link, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        if (err)
            return err;
        state = PQconnectPoll(link->conn);
        if (state == PGRES_POLLING_OK)
            return TK_OK;
        if (state == PGRES_POLLING_FAILED)
            return TK_EUNAVAIL;
    }
}

static void log_notice(void *arg, const char *message)
{
    (void)arg;
    tk_log_debug("database notice: %s", message);
}

static enum tk_err start_connecting(struct db_link *link, int64_t deadline)
{
    char timeout[16];
    /* What stands before dbname the address may override, what stands behind it may not. */
    const char *const keys[] = {"fallback_application_name", "tcp_user_timeout", "dbname",
                                "client_encoding", NULL};
    const char *const values[] = {"tako", timeout, link->conninfo, "UTF8", NULL};

    snprintf(timeout, sizeof(timeout), "%d", link->timeout_ms);
    link->conn = PQconnectStartParams(keys, values, 1);
    if (link->conn == NULL)
        return TK_EIO;
    PQsetNoticeProcessor(link->conn, log_notice, NULL);
    if (PQstatus(link->conn) == CONNECTION_BAD)
        return TK_EUNAVAIL;
    return finish_connecting(link, deadline);
}

static enum tk_err send_all(struct db_link *link, int64_t deadline)
{
    int left;

    while ((left = PQflush(link->conn)) > 0) {
        enum tk_err err = wait_for(link, POLLIN | POLLOUT, deadline);
        if (err)
            return err;
        /* The server may be unable to take more before we took what it sent. */
        if (!PQconsumeInput(link->conn))
            return TK_EUNAVAIL;
    }
    return left == 0 ? TK_OK : TK_EUNAVAIL;
}

/* The next result of what was sent; NULL when there are no more. */
static enum tk_err next_result(struct db_link *link, int64_t deadline, PGresult **result)
{
    while (PQisBusy(link->conn)) {
        enum tk_err err = wait_for(link, POLLIN, deadline);
        if (err)
            return err;
        if (!PQconsumeInput(link->conn))
            return TK_EUNAVAIL;
    }
    *result = PQgetResult(link->conn);
    return TK_OK;
}

/* Sends what libpq has queued and gives the one result of it. */
static enum tk_err exchange(struct db_link *link, int64_t deadline, PGresult **result)
{
    PGresult *first = NULL, *more = NULL;
    enum tk_err err = send_all(link, deadline);

    if (!err)
        err = next_result(link, deadline, &first);
    while (!err && (err = next_result(link, deadline, &more)) == TK_OK && more != NULL)
        PQclear(more);
    if (!err && first == NULL)
        err = TK_EIO;
    if (err) {
        PQclear(first);
        return err;
    }
    *result = first;
    return TK_OK;
}

struct db_verdict db_verdict_of(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        struct db_verdict verdict;
    } verdicts[] = {
        {"22021", {TK_EINVAL, false, false}},   /* character not in repertoire */
        {"22P05", {TK_EINVAL, false, false}},   /* untranslatable character */
        {"22003", {TK_EINVAL, false, false}},   /* numeric value out of range */
        {"40001", {TK_EUNAVAIL, true, false}},  /* serialization failure */
        {"40P01", {TK_EUNAVAIL, true, false}},  /* deadlock */
        {"26000", {TK_EUNAVAIL, true, true}},   /* a pooler forgot our statements */
        {"0A000", {TK_EIO, true, true}},        /* cached plan outlived a migration */
        {"57014", {TK_EUNAVAIL, false, false}}, /* statement timeout */
        {"55P03", {TK_EUNAVAIL, false, false}}, /* lock not available */
        {"25006", {TK_EUNAVAIL, false, true}},  /* read only: the standby of a failover */
        {"53300", {TK_EUNAVAIL, false, true}},  /* too many connections */
        {"57P", {TK_EUNAVAIL, false, true}},    /* shutting down, crashed, starting up */
        {"08", {TK_EUNAVAIL, false, true}},     /* connection exceptions */
    };

    if (sqlstate == NULL)
        return (struct db_verdict){TK_EUNAVAIL, false, true};
    for (size_t i = 0; i < TK_ARRAY_LEN(verdicts); i++) {
        if (strncmp(sqlstate, verdicts[i].prefix, strlen(verdicts[i].prefix)) == 0)
            return verdicts[i].verdict;
    }
    return (struct db_verdict){TK_EIO, false, true};
}

/*
 * Takes the outcome of an exchange to a verdict. On success *result stays; otherwise it is cleared.
 */
static struct db_verdict judge(struct db_link *link, const char *what, enum tk_err err,
                               PGresult **result)
{
    struct db_verdict verdict = {TK_OK, false, false};

    if (err == TK_ETIMEOUT) {
        complain(link, "does not answer");
        link->silent_until_ms = tk_clock_ms() + HOLD_OFF_MS;
        return (struct db_verdict){TK_EUNAVAIL, false, true};
    }
    if (err) {
        complain(link, "connection lost");
        return (struct db_verdict){TK_EUNAVAIL, false, true};
    }
    ExecStatusType status = PQresultStatus(*result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return verdict;

    const char *sqlstate = PQresultErrorField(*result, PG_DIAG_SQLSTATE);
    verdict = db_verdict_of(sqlstate);
    tk_log_write(verdict.err == TK_EIO ? TK_LOG_ERROR : TK_LOG_WARN,
                 "database statement=%s sqlstate=%s", what, sqlstate != NULL ? sqlstate : "none");
    PQclear(*result);
    *result = NULL;
    return verdict;
}

/* The server's own limit ends before ours, so that a slow statement is told from a dead server. */
static struct db_verdict limit_statements(struct db_link *link, int64_t deadline)
{
    char sql[64];
    PGresult *result = NULL;
    enum tk_err err = TK_EUNAVAIL;

    snprintf(sql, sizeof(sql), "SET statement_timeout = %d",
             link->timeout_ms - link->timeout_ms / 5);
    if (PQsetnonblocking(link->conn, 1) == 0 && PQsendQuery(link->conn, sql))
        err = exchange(link, deadline, &result);
    struct db_verdict verdict = judge(link, "connect", err, &result);
    PQclear(result);
    return verdict;
}

static struct db_verdict connect_link(struct db_link *link, int64_t deadline)
{
    enum tk_err err = start_connecting(link, deadline);

    if (err) {
        complain(link, "cannot be reached");
        if (err == TK_ETIMEOUT)
            link->silent_until_ms = tk_clock_ms() + HOLD_OFF_MS;
        return (struct db_verdict){TK_EUNAVAIL, false, true};
    }
    struct db_verdict verdict = limit_statements(link, deadline);
    if (!verdict.err)
        tk_log_debug("database connected");
    return verdict;
}

/*
 * Between two statements a server has nothing to say except good-bye. Something to read means that
 * the connection has ended or is about to; opening another costs less than finding out which.
 */
static bool has_ended(const struct db_link *link)
{
    struct pollfd fd = {.fd = PQsocket(link->conn), .events = POLLIN};

    return PQstatus(link->conn) == CONNECTION_BAD || poll(&fd, 1, 0) != 0;
}

static struct db_verdict prepare(struct db_link *link, const struct db_statement *statement,
                                 int64_t deadline)
{
    PGresult *result = NULL;
    enum tk_err err = TK_EUNAVAIL;

    if (PQsendPrepare(link->conn, statement->name, statement->sql, statement->params, NULL))
        err = exchange(link, deadline, &result);
    struct db_verdict verdict = judge(link, statement->name, err, &result);
    if (!verdict.err)
        link->prepared |= UINT32_C(1) << statement->number;
    PQclear(result);
    return verdict;
}

static struct db_verdict execute(struct db_link *link, const struct db_statement *statement,
                                 const char *const *params, int64_t deadline, PGresult **result)
{
    enum tk_err err = TK_EUNAVAIL;

    int sent = statement->name != NULL
                   ? PQsendQueryPrepared(link->conn, statement->name, statement->params, params,
                                         NULL, NULL, 1)
                   : PQsendQueryParams(link->conn, statement->sql, statement->params, NULL, params,
                                       NULL, NULL, 1);
    if (sent)
        err = exchange(link, deadline, result);
    return judge(link, statement->name != NULL ? statement->name : "unnamed", err, result);
}

static bool needs_preparing(const struct db_link *link, const struct db_statement *statement)
{
    return statement->name != NULL && (link->prepared & (UINT32_C(1) << statement->number)) == 0;
}

static struct db_verdict try_once(struct db_link *link, const struct db_statement *statement,
                                  const char *const *params, int64_t deadline, PGresult **result)
{
    struct db_verdict verdict = {TK_OK, false, false};

    if (link->conn != NULL && has_ended(link))
        disconnect(link);
    if (link->conn == NULL)
        verdict = connect_link(link, deadline);
    if (!verdict.err && needs_preparing(link, statement))
        verdict = prepare(link, statement, deadline);
    if (!verdict.err)
        verdict = execute(link, statement, params, deadline, result);
    if (verdict.reconnect)
        disconnect(link);
    return verdict;
}

enum tk_err db_link_run(struct db_link *link, const struct db_statement *statement,
                        const char *const *params, PGresult **result)
{
    int64_t now = tk_clock_ms();
    int64_t deadline = now + link->timeout_ms;

    tk_assert(statement->number < 32);
    if (now < link->silent_until_ms)
        return TK_EUNAVAIL;
    struct db_verdict verdict = try_once(link, statement, params, deadline, result);
    if (verdict.try_again)
        verdict = try_once(link, statement, params, deadline, result);
    return verdict.err;
}
