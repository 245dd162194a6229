/* SPDX-License-Identifier: MIT */
/*
 * One connection to Redis. hiredis contributes the connect, the login commands and the reply
 * reader; reading, writing and polling are ours, so that output leaves in one write per turn and
 * input is bounded per turn. Whoever is up the stack may find the wire closed after any event, but
 * never freed: the memory goes when libuv lets go of the poll handle.
 */
#include "broker/redis/redis_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/tk_redis.h"

/* hiredis moves what is left in its buffer after each kilobyte it parsed: keep it small. */
#define READ_SIZE 16384

/*
 * 256 KB per turn, a quarter of the default output budget of a client: a burst from Redis is
 * flushed to the clients between turns instead of piling up in their queues until they look too
 * slow.
 */
#define READS_PER_TURN 16

/*
 * More than any answer we ask for. hiredis 0.14 allocates what the peer announces, and 1.x frees
 * nested arrays recursively without a limit to their depth.
 */
#define MAX_ELEMENTS 1048576
#define MAX_DEPTH    7

enum wire_state { WIRE_CONNECTING, WIRE_LOGIN, WIRE_OPEN, WIRE_CLOSED };

struct redis_wire {
    uv_poll_t poll;
    redisContext *context; /* NULL once closed */
    const struct tk_redis_address *address;
    const struct redis_wire_events *events;
    void *arg;
    enum wire_state state;
    int login_replies; /* still to come */
    int polled_events; /* what the poll handle waits for */
    int send_error;    /* errno of the write that failed */
    bool is_behind;
    struct tk_buf out;
    size_t out_sent;      /* bytes at the front of out that are sent already */
    size_t partial_bytes; /* read for a reply that is not complete yet */
    size_t max_reply_bytes;
    redisReplyObjectFunctions reply_functions; /* hiredis' own, with limits on arrays */
};

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static bool is_too_deep(const redisReadTask *task)
{
    int depth = 0;
    for (; task && depth <= MAX_DEPTH; task = task->parent)
        depth++;
    return depth > MAX_DEPTH;
}

static void *create_array(const redisReadTask *task, element_count count)
{
    if (count > (element_count)MAX_ELEMENTS || is_too_deep(task))
        return NULL; /* hiredis reports it as out of memory: the connection is given up */
    const redisReplyObjectFunctions *own = task->privdata;
    return own->createArray(task, count);
}

static void lost(struct redis_wire *w, const char *why)
{
    w->events->on_lost(w->arg, w, why);
    tk_assert(w->state == WIRE_CLOSED);
}

static void update_poll(struct redis_wire *w);

static void compact(struct redis_wire *w)
{
    if (w->out_sent == w->out.len)
        tk_buf_clear(&w->out);
    else if (w->out_sent > w->out.len / 2)
        tk_buf_consume(&w->out, w->out_sent);
    else
        return;
    w->out_sent = 0;
}

/* A write that failed ends the connection from the loop: the shut-down socket becomes readable. */
static void fail_sending(struct redis_wire *w, int error)
{
    w->send_error = error;
    tk_buf_clear(&w->out);
    w->out_sent = 0;
    (void)shutdown(w->context->fd, SHUT_RDWR);
}

void redis_wire_flush(struct redis_wire *w)
{
    if ((w->state != WIRE_LOGIN && w->state != WIRE_OPEN) || w->send_error)
        return;
    while (w->out_sent < w->out.len) {
        ssize_t n = send(w->context->fd, w->out.data + w->out_sent, w->out.len - w->out_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            fail_sending(w, errno);
            break;
        }
        w->out_sent += (size_t)n;
    }
    compact(w);
    update_poll(w);
}

/* Logging in: every answer must be good before anything else is said. */
static void on_login_reply(struct redis_wire *w, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        lost(w, reply->str);
        return;
    }
    if (--w->login_replies > 0)
        return;
    w->state = WIRE_OPEN;
    w->events->on_open(w->arg, w);
}

/* Hands over the replies that are complete. False when the wire was closed meanwhile. */
static bool deliver(struct redis_wire *w)
{
    for (;;) {
        redisReader *reader = w->context->reader;
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            lost(w, reader->errstr);
            return false;
        }
        if (reply == NULL)
            return true;
        w->partial_bytes = reader->len - reader->pos;
        if (w->state == WIRE_LOGIN)
            on_login_reply(w, reply);
        else
            w->events->on_reply(w->arg, w, reply);
        freeReplyObject(reply);
        if (w->state == WIRE_CLOSED)
            return false;
    }
}

static bool feed(struct redis_wire *w, const char *bytes, size_t len)
{
    if (redisReaderFeed(w->context->reader, bytes, len) != REDIS_OK) {
        lost(w, w->context->reader->errstr);
        return false;
    }
    w->partial_bytes += len;
    if (!deliver(w))
        return false;
    if (w->partial_bytes > w->max_reply_bytes) {
        lost(w, "reply too long");
        return false;
    }
    return true;
}

static void read_failed(struct redis_wire *w, int error)
{
    if (w->send_error)
        error = w->send_error;
    lost(w, error ? strerror(error) : "closed by Redis");
}

static void read_turn(struct redis_wire *w)
{
    char chunk[READ_SIZE];
    w->is_behind = false;
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(w->context->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return; /* level-triggered: after EINTR the loop comes back */
        if (n <= 0) {
            read_failed(w, n < 0 ? errno : 0);
            return;
        }
        if (!feed(w, chunk, (size_t)n) || (size_t)n < sizeof(chunk))
            return;
    }
    w->is_behind = true;
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) ? errno : error;
}

/*
 * The login as hiredis formats it, moved to our own output so that there is one way out. An address
 * has no NUL bytes, so neither has the login; hiredis terminates its buffer.
 */
static void start_login(struct redis_wire *w)
{
    redisContext *c = w->context;
    w->state = WIRE_LOGIN;
    w->login_replies = tk_redis_append_login(c, w->address);
    tk_buf_append_str(&w->out, c->obuf);
    if (w->login_replies == 0) {
        w->state = WIRE_OPEN;
        w->events->on_open(w->arg, w);
    }
    redis_wire_flush(w);
}

static void finish_connect(struct redis_wire *w)
{
    int error = socket_error(w->context->fd);
    if (error)
        lost(w, strerror(error));
    else
        start_login(w);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct redis_wire *w = tk_container_of(poll, struct redis_wire, poll);
    if (status < 0) { /* libuv says EBADF for any error of a socket, which knows better */
        int error = socket_error(w->context->fd);
        lost(w, error ? strerror(error) : uv_strerror(status));
        return;
    }
    if (w->state == WIRE_CONNECTING) {
        finish_connect(w);
        return;
    }
    if (events & UV_READABLE)
        read_turn(w);
    redis_wire_flush(w);
}

static void update_poll(struct redis_wire *w)
{
    bool is_writing = w->state == WIRE_CONNECTING || w->out_sent < w->out.len;
    int events = UV_READABLE | (is_writing ? UV_WRITABLE : 0);
    if (events == w->polled_events)
        return;
    w->polled_events = events;
    int err = uv_poll_start(&w->poll, events, on_poll);
    tk_assert(err == 0);
}

/* Unix sockets refuse TCP_NODELAY, harmlessly. */
static void tune_socket(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static redisContext *start_connect(const struct tk_redis_address *address, char *why, size_t size)
{
    redisContext *c = address->unix_path ? redisConnectUnixNonBlock(address->unix_path)
                                         : redisConnectNonBlock(address->host, address->port);
    if (c == NULL || c->err) {
        snprintf(why, size, "%s", c ? c->errstr : "out of memory");
        if (c)
            redisFree(c);
        return NULL;
    }
    tune_socket(c->fd);
    return c;
}

static void limit_arrays(struct redis_wire *w)
{
    redisReader *reader = w->context->reader;
    reader->privdata = reader->fn; /* for create_array */
    w->reply_functions = *reader->fn;
    w->reply_functions.createArray = create_array;
    reader->fn = &w->reply_functions;
}

struct redis_wire *redis_wire_open(uv_loop_t *loop, const struct tk_redis_address *address,
                                   size_t max_reply_bytes, const struct redis_wire_events *events,
                                   void *arg, char *why, size_t size)
{
    redisContext *context = start_connect(address, why, size);
    if (context == NULL)
        return NULL;
    struct redis_wire *w = tk_xcalloc(1, sizeof(*w));
    int err = uv_poll_init(loop, &w->poll, context->fd);
    if (err) {
        snprintf(why, size, "%s", uv_strerror(err));
        redisFree(context);
        free(w);
        return NULL;
    }
    w->context = context;
    w->address = address;
    w->events = events;
    w->arg = arg;
    w->max_reply_bytes = max_reply_bytes;
    limit_arrays(w);
    update_poll(w);
    return w;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct redis_wire *w = tk_container_of(handle, struct redis_wire, poll);
    tk_buf_fini(&w->out);
    free(w);
}

void redis_wire_close(struct redis_wire *w)
{
    if (w == NULL || w->state == WIRE_CLOSED)
        return;
    w->state = WIRE_CLOSED;
    uv_close((uv_handle_t *)&w->poll, on_poll_closed);
    redisFree(w->context);
    w->context = NULL;
}

struct tk_buf *redis_wire_out(struct redis_wire *w)
{
    tk_assert(w->state == WIRE_OPEN);
    return &w->out;
}

size_t redis_wire_unsent(const struct redis_wire *w)
{
    return w->out.len - w->out_sent;
}

bool redis_wire_is_behind(const struct redis_wire *w)
{
    return w->is_behind;
}

/* "<kind><number>\r\n" by hand: this runs twice per publish. */
static void write_number(struct tk_buf *out, char kind, size_t number)
{
    char text[24];
    char *end = text + sizeof(text);
    char *p = end;
    *--p = '\n';
    *--p = '\r';
    do
        *--p = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    *--p = kind;
    tk_buf_append(out, p, (size_t)(end - p));
}

void redis_wire_write_count(struct tk_buf *out, size_t argc)
{
    write_number(out, '*', argc);
}

void redis_wire_write_arg(struct tk_buf *out, struct tk_slice arg)
{
    write_number(out, '$', arg.len);
    tk_buf_append_slice(out, arg);
    tk_buf_append(out, "\r\n", 2);
}
