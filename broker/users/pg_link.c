/* SPDX-License-Identifier: MIT */
/*
 * libpq on the loop. Every connection walks through these states, with one timer whose meaning
 * depends on the state:
 *
 *   WAITING (backoff) -> CONNECTING -> PREPARING (deadline) -> IDLE <-> BUSY (deadline)
 *                                          '-> REFUSED (backoff) -> PREPARING
 *
 * From any state a lost connection goes back to WAITING. REFUSED is a good connection whose
 * statement the database does not accept, because the schema is not there yet: only the PREPARE is
 * tried again. libpq changes sockets while it connects, so the poll handle is stopped before every
 * call that may close a socket, and looked up again after it.
 */
#include "broker/users/pg_link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/backoff.h"
#include "broker/reason.h"
#include "common/tk_log.h"

enum pg_state { PG_WAITING, PG_CONNECTING, PG_PREPARING, PG_REFUSED, PG_IDLE, PG_BUSY };

struct pg_connection {
    struct pg_link *link;
    enum pg_state state;
    PGconn *pg;      /* NULL while waiting */
    uv_poll_t *poll; /* on its own, because libuv lets go of it later than we do */
    int fd;          /* what poll is for */
    uv_timer_t timer;
    struct backoff backoff;
    bool is_broken;   /* to be dropped by the timer: found out where no callback may run */
    PGresult *result; /* of the command under way, so far */
    pg_result_fn fn;  /* BUSY */
    void *arg;
};

struct pg_link {
    uv_loop_t *loop;
    struct pg_link_options options;
    pg_link_change_fn on_change;
    void *arg;
    bool is_closed;
    bool has_been_up;
    bool is_failing;
    bool is_conninfo_valid;
    struct tk_log_limit connect_log;
    struct tk_log_limit statement_log;
    int open_timers;
    struct pg_connection connections[];
};

static void on_timer(uv_timer_t *timer);
static void on_poll(uv_poll_t *poll, int status, int events);
static void lose(struct pg_connection *c, enum tk_err err, const char *why);

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

static void close_poll(struct pg_connection *c)
{
    if (c->poll == NULL)
        return;
    uv_close((uv_handle_t *)c->poll, free_poll); /* the socket may be closed from here on */
    c->poll = NULL;
}

/* Waits for events on the connection's present socket. */
static void watch(struct pg_connection *c, int events)
{
    int fd = PQsocket(c->pg);
    if (c->poll == NULL || fd != c->fd) {
        close_poll(c);
        c->fd = fd;
        c->poll = tk_xmalloc(sizeof(*c->poll));
        int err = uv_poll_init(c->link->loop, c->poll, fd);
        tk_assert(err == 0);
        c->poll->data = c;
    }
    int err = uv_poll_start(c->poll, events, on_poll);
    tk_assert(err == 0);
}

static void set_timer(struct pg_connection *c, uint64_t ms)
{
    uv_timer_start(&c->timer, on_timer, ms, 0);
}

static void changed(struct pg_link *link)
{
    if (!link->is_closed)
        link->on_change(link->arg);
}

/* libpq quotes a conninfo that does not parse, password and all. */
static const char *libpq_reason(const struct pg_connection *c)
{
    return c->link->is_conninfo_valid ? PQerrorMessage(c->pg) : "DATABASE_URL does not parse";
}

static bool is_good(const struct pg_connection *c)
{
    return (c->state == PG_IDLE || c->state == PG_BUSY) && !c->is_broken;
}

static int count_good(const struct pg_link *link)
{
    int count = 0;
    for (int i = 0; i < link->options.connections; i++)
        count += is_good(&link->connections[i]);
    return count;
}

bool pg_link_is_up(const struct pg_link *link)
{
    return count_good(link) > 0;
}

bool pg_link_is_failing(const struct pg_link *link)
{
    return link->is_failing && !pg_link_is_up(link);
}

/* The loss of the last good connection is news; failing to get one is news once a minute. */
static void log_loss(struct pg_connection *c, const char *why)
{
    struct pg_link *link = c->link;
    uint64_t suppressed = 0;
    if (is_good(c) && count_good(link) == 1)
        tk_log_warn("postgresql lost reason=\"%s\"", REASON(why));
    else if (tk_log_allow(&link->connect_log, uv_now(link->loop), &suppressed))
        tk_log_warn("postgresql connection failed reason=\"%s\" more=%" PRIu64, REASON(why),
                    suppressed);
}

/* Hands the outcome to whoever waits for it. */
static void finish(struct pg_connection *c, enum tk_err err)
{
    pg_result_fn fn = c->fn;
    PGresult *result = c->result;
    c->fn = NULL;
    c->result = NULL;
    if (fn)
        fn(c->arg, err, err ? NULL : result);
    PQclear(result);
}

/* Gives the connection's libpq part up. */
static void disconnect(struct pg_connection *c)
{
    close_poll(c);
    PQfinish(c->pg);
    c->pg = NULL;
    c->state = PG_WAITING;
}

/* why NULL: ask libpq. A connection that was good is made again before anybody is told of failure.
 */
static void lose(struct pg_connection *c, enum tk_err err, const char *why)
{
    struct pg_link *link = c->link;
    c->is_broken = false;
    log_loss(c, why ? why : libpq_reason(c));
    if (is_good(c))
        link->is_failing = false; /* not before the next attempt has failed */
    else if (link->has_been_up)
        link->is_failing = true;
    disconnect(c);
    set_timer(c, backoff_next_ms(&c->backoff));
    finish(c, err);
    changed(link);
}

/* Sends what libpq holds back. */
static bool flush(struct pg_connection *c)
{
    int left = PQflush(c->pg);
    if (left < 0)
        return false;
    watch(c, left ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    return true;
}

static void become_idle(struct pg_connection *c)
{
    struct pg_link *link = c->link;
    if (!pg_link_is_up(link))
        tk_log_info("postgresql up");
    c->state = PG_IDLE;
    uv_timer_stop(&c->timer);
    link->has_been_up = true;
    link->is_failing = false;
}

static void prepare(struct pg_connection *c)
{
    const struct pg_link_options *options = &c->link->options;
    c->state = PG_PREPARING;
    set_timer(c, (uint64_t)options->connect_timeout_ms);
    if (!PQsendPrepare(c->pg, options->statement_name, options->statement, 1, NULL) || !flush(c))
        lose(c, TK_EUNAVAIL, NULL);
}

static void on_connected(struct pg_connection *c)
{
    if (PQsetnonblocking(c->pg, 1) != 0)
        lose(c, TK_EUNAVAIL, NULL);
    else
        prepare(c);
}

static void continue_connect(struct pg_connection *c, PostgresPollingStatusType next)
{
    switch (next) {
    case PGRES_POLLING_READING:
        watch(c, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watch(c, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        on_connected(c);
        break;
    default:
        lose(c, TK_EUNAVAIL, NULL);
    }
}

/* Notices would go to stderr as they are. */
static void on_notice(void *arg, const PGresult *notice)
{
    tk_log_debug("postgresql notice=\"%s\"", REASON(PQresultErrorMessage(notice)));
}

static void start_connecting(struct pg_connection *c)
{
    const struct pg_link_options *options = &c->link->options;
    /* A later word overrides an earlier one: the encoding is ours to choose, the name is not. */
    const char *const words[] = {"fallback_application_name", "dbname", "client_encoding", NULL};
    const char *const values[] = {"tako-broker", options->conninfo, "UTF8", NULL};

    c->state = PG_CONNECTING;
    c->pg = PQconnectStartParams(words, values, 1);
    tk_assert(c->pg != NULL); /* only when memory is gone */
    if (PQstatus(c->pg) == CONNECTION_BAD) {
        lose(c, TK_EUNAVAIL, NULL);
        return;
    }
    PQsetNoticeReceiver(c->pg, on_notice, NULL);
    set_timer(c, (uint64_t)options->connect_timeout_ms);
    continue_connect(c, PGRES_POLLING_WRITING);
}

static void on_timer(uv_timer_t *timer)
{
    struct pg_connection *c = timer->data;
    if (c->is_broken)
        lose(c, TK_EUNAVAIL, NULL);
    else if (c->state == PG_WAITING)
        start_connecting(c);
    else if (c->state == PG_REFUSED)
        prepare(c);
    else
        lose(c, TK_ETIMEOUT, c->state == PG_BUSY ? "statement timeout" : "connect timeout");
}

static bool is_state(const PGresult *result, const char *sqlstate)
{
    const char *text = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return text && strcmp(text, sqlstate) == 0;
}

/* A missing table (42P01) above all: nothing that a new connection would cure. */
static void log_statement_error(struct pg_connection *c)
{
    uint64_t suppressed;
    const char *text = PQresultErrorField(c->result, PG_DIAG_MESSAGE_PRIMARY);
    if (tk_log_allow(&c->link->statement_log, uv_now(c->link->loop), &suppressed))
        tk_log_error("postgresql refuses statement name=%s reason=\"%s\" more=%" PRIu64,
                     c->link->options.statement_name, REASON(text ? text : "none given"),
                     suppressed);
}

static void on_prepared(struct pg_connection *c, bool is_good)
{
    struct pg_link *link = c->link;
    if (is_good) {
        backoff_reset(&c->backoff);
        become_idle(c);
    } else {
        log_statement_error(c);
        c->state = PG_REFUSED;
        link->is_failing = true;
        set_timer(c, backoff_next_ms(&c->backoff));
    }
    finish(c, TK_OK); /* nobody waits: clears the result */
    changed(link);
}

static void on_executed(struct pg_connection *c, bool is_good)
{
    struct pg_link *link = c->link;
    if (!is_good)
        log_statement_error(c);
    /* The statement is gone (a pooler), or the table changed its type: only a new one helps. */
    if (is_state(c->result, "26000") || is_state(c->result, "0A000")) {
        lose(c, TK_EUNAVAIL, "the prepared statement is no longer valid");
        return;
    }
    become_idle(c);
    finish(c, is_good ? TK_OK : TK_EIO);
    changed(link);
}

/* The command is over: result is its outcome, the first one if there were several. */
static void on_complete(struct pg_connection *c)
{
    ExecStatusType status = PQresultStatus(c->result);
    bool is_good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (PQstatus(c->pg) == CONNECTION_BAD)
        lose(c, TK_EUNAVAIL, NULL);
    else if (c->state == PG_PREPARING)
        on_prepared(c, is_good);
    else
        on_executed(c, is_good);
}

static void on_readable(struct pg_connection *c)
{
    if (!PQconsumeInput(c->pg)) {
        lose(c, TK_EUNAVAIL, NULL);
        return;
    }
    while (!PQisBusy(c->pg)) {
        PGresult *result = PQgetResult(c->pg);
        if (result == NULL) {
            if (c->state == PG_PREPARING || c->state == PG_BUSY)
                on_complete(c);
            return;
        }
        if (c->result == NULL)
            c->result = result;
        else
            PQclear(result);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct pg_connection *c = poll->data;
    if (c->state == PG_CONNECTING) {
        uv_poll_stop(poll); /* PQconnectPoll may close the socket */
        continue_connect(c, PQconnectPoll(c->pg));
        return;
    }
    if (status < 0) { /* an error on the socket, which libpq will meet too and put into words */
        uv_poll_stop(poll);
        lose(c, TK_EUNAVAIL, PQconsumeInput(c->pg) ? uv_strerror(status) : NULL);
        return;
    }
    if ((events & UV_WRITABLE) && !flush(c))
        lose(c, TK_EUNAVAIL, NULL);
    else if (events & UV_READABLE)
        on_readable(c);
}

/* The loss is reported by the timer in the next turn, because callers may not be called back now.
 */
static void break_later(struct pg_connection *c)
{
    c->is_broken = true;
    set_timer(c, 0);
}

static struct pg_connection *find_idle(const struct pg_link *link)
{
    for (int i = 0; i < link->options.connections && !link->is_closed; i++) {
        const struct pg_connection *c = &link->connections[i];
        if (c->state == PG_IDLE && !c->is_broken)
            return (struct pg_connection *)c;
    }
    return NULL;
}

bool pg_link_has_idle(const struct pg_link *link)
{
    return find_idle(link) != NULL;
}

enum tk_err pg_link_execute(struct pg_link *link, const char *parameter, pg_result_fn fn, void *arg)
{
    const struct pg_link_options *options = &link->options;
    struct pg_connection *c;
    while ((c = find_idle(link)) != NULL) {
        if (!PQsendQueryPrepared(c->pg, options->statement_name, 1, &parameter, NULL, NULL, 0)) {
            break_later(c);
            continue;
        }
        c->state = PG_BUSY;
        c->fn = fn;
        c->arg = arg;
        if (flush(c))
            set_timer(c, (uint64_t)options->statement_timeout_ms);
        else
            break_later(c);
        return TK_OK;
    }
    return TK_EUNAVAIL;
}

static bool is_valid_conninfo(const char *conninfo)
{
    char *why = NULL;
    PQconninfoOption *parsed = PQconninfoParse(conninfo, &why);
    bool is_valid = parsed != NULL;
    PQconninfoFree(parsed);
    PQfreemem(why);
    return is_valid;
}

struct pg_link *pg_link_open(uv_loop_t *loop, const struct pg_link_options *options,
                             pg_link_change_fn on_change, void *arg)
{
    size_t count = (size_t)options->connections;
    struct pg_link *link = tk_xcalloc(1, sizeof(*link) + count * sizeof(link->connections[0]));
    link->loop = loop;
    link->options = *options;
    link->on_change = on_change;
    link->arg = arg;
    link->is_conninfo_valid = is_valid_conninfo(options->conninfo);
    link->open_timers = options->connections;
    for (int i = 0; i < options->connections; i++) {
        struct pg_connection *c = &link->connections[i];
        c->link = link;
        uv_timer_init(loop, &c->timer);
        c->timer.data = c;
        set_timer(c, 0); /* connects from the loop */
    }
    return link;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct pg_connection *c = handle->data;
    struct pg_link *link = c->link;
    if (--link->open_timers == 0)
        free(link);
}

void pg_link_close(struct pg_link *link)
{
    if (link == NULL || link->is_closed)
        return;
    link->is_closed = true;
    for (int i = 0; i < link->options.connections; i++) {
        struct pg_connection *c = &link->connections[i];
        disconnect(c);
        uv_close((uv_handle_t *)&c->timer, on_timer_closed);
        finish(c, TK_EUNAVAIL);
    }
}

const struct pg_link_ops pg_link_ops = {
    .open = pg_link_open,
    .close = pg_link_close,
    .has_idle = pg_link_has_idle,
    .is_up = pg_link_is_up,
    .is_failing = pg_link_is_failing,
    .execute = pg_link_execute,
};
