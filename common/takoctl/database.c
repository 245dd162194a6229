/* SPDX-License-Identifier: MIT */
/* libpq without its unbounded waits: every call sends, then polls until its deadline. */
#include "common/takoctl/database.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"

#define CONNECT_TIMEOUT_S "10"

/* libpq's messages end in a line end, which is not wanted here. */
static enum tk_err fail(struct database_failure *failure, enum tk_err err, const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '\n')
        len--;
    failure->sqlstate[0] = '\0';
    snprintf(failure->text, sizeof(failure->text), "%.*s", (int)len, text);
    return err;
}

static const char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);

    return text != NULL ? text : "";
}

static enum tk_err refuse(struct database_failure *failure, const PGresult *result)
{
    const char *detail = field(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = field(result, PG_DIAG_MESSAGE_HINT);

    snprintf(failure->sqlstate, sizeof(failure->sqlstate), "%s", field(result, PG_DIAG_SQLSTATE));
    snprintf(failure->text, sizeof(failure->text), "%s%s%s%s%s",
             field(result, PG_DIAG_MESSAGE_PRIMARY), detail[0] != '\0' ? "\n" : "", detail,
             hint[0] != '\0' ? "\n" : "", hint);
    return TK_EIO;
}

static void log_notice(void *arg, const char *message)
{
    (void)arg;
    tk_log_debug("database notice: %s", message);
}

enum tk_err database_open(const char *conninfo, PGconn **conn, struct database_failure *failure)
{
    /* What stands before dbname the address may override, what stands behind it may not. */
    const char *const keys[] = {"connect_timeout",  "tcp_user_timeout", "dbname",
                                "application_name", "client_encoding",  NULL};
    const char *const values[] = {CONNECT_TIMEOUT_S, "30000", conninfo,
                                  "takoctl migrate", "UTF8",  NULL};
    PGconn *opened = PQconnectdbParams(keys, values, 1);

    if (PQstatus(opened) != CONNECTION_OK || PQsetnonblocking(opened, 1) != 0) {
        enum tk_err err = fail(failure, TK_EUNAVAIL, PQerrorMessage(opened));
        PQfinish(opened);
        return err;
    }
    PQsetNoticeProcessor(opened, log_notice, NULL);
    *conn = opened;
    return TK_OK;
}

static enum tk_err wait_for(const PGconn *conn, short events, int64_t deadline)
{
    struct pollfd fd = {.fd = PQsocket(conn), .events = events};

    for (;;) {
        int64_t left = deadline - tk_clock_ms();
        if (left <= 0)
            return TK_ETIMEOUT;
        int ready = poll(&fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (ready > 0)
            return TK_OK;
        if (ready < 0 && errno != EINTR)
            return TK_EIO;
    }
}

static enum tk_err flush(PGconn *conn, int64_t deadline)
{
    int left;

    while ((left = PQflush(conn)) > 0) {
        enum tk_err err = wait_for(conn, POLLIN | POLLOUT, deadline);
        if (err)
            return err;
        if (!PQconsumeInput(conn))
            return TK_EUNAVAIL;
    }
    return left == 0 ? TK_OK : TK_EUNAVAIL;
}

static enum tk_err next_result(PGconn *conn, int64_t deadline, PGresult **result)
{
    while (PQisBusy(conn)) {
        enum tk_err err = wait_for(conn, POLLIN, deadline);
        if (err)
            return err;
        if (!PQconsumeInput(conn))
            return TK_EUNAVAIL;
    }
    *result = PQgetResult(conn);
    return TK_OK;
}

static bool is_success(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

/* All results of what was sent; the first that is an error decides, otherwise the last is given. */
static enum tk_err collect(PGconn *conn, int64_t deadline, PGresult **last,
                           struct database_failure *failure)
{
    PGresult *next = NULL;
    enum tk_err verdict = TK_OK;

    for (;;) {
        enum tk_err err = next_result(conn, deadline, &next);
        if (err)
            return err;
        if (next == NULL)
            return verdict;
        if (!verdict && !is_success(next))
            verdict = refuse(failure, next);
        PQclear(*last);
        *last = next;
    }
}

enum tk_err database_run(PGconn *conn, const char *sql, int params, const char *const *values,
                         int timeout_ms, PGresult **result, struct database_failure *failure)
{
    int64_t deadline = tk_clock_ms() + timeout_ms;
    PGresult *last = NULL;
    enum tk_err err = TK_EUNAVAIL;

    /* Only the simple protocol takes several statements at once. */
    if (params > 0 ? PQsendQueryParams(conn, sql, params, NULL, values, NULL, NULL, 0)
                   : PQsendQuery(conn, sql))
        err = flush(conn, deadline);
    if (!err)
        err = collect(conn, deadline, &last, failure);
    if (err == TK_ETIMEOUT)
        fail(failure, err, "PostgreSQL does not answer in time");
    else if (err == TK_EUNAVAIL || (err == TK_EIO && last == NULL))
        err = fail(failure, TK_EUNAVAIL, PQerrorMessage(conn));
    if (!err && result != NULL) {
        *result = last;
        last = NULL;
    }
    PQclear(last);
    return err;
}
