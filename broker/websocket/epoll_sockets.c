/* SPDX-License-Identifier: MIT */
/*
 * Sockets on an epoll instance of our own, which the loop watches as a single descriptor: so a
 * connection needs neither a handle of libuv's nor a place in its tables. Edge-triggered, so that
 * the kernel looks at each only once per event: what is left unread must be asked for again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/websocket/sockets.h"
#include "common/tk_log.h"

#define READ_SIZE       ((size_t)32 * 1024)
#define READY_AT_ONCE   1024
#define ROUNDS_PER_TURN 20
#define ENDED           (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* What the kernel did not take of a write. */
struct unsent {
    size_t start, len;
    char bytes[];
};

struct epoll_socket {
    struct ws_connection ws;
    struct sockets *all;
    struct unsent *unsent; /* NULL: nothing; otherwise we wait until the socket is writable */
};

struct sockets {
    uv_poll_t poll;
    int epoll;
    struct epoll_event ready[READY_AT_ONCE];
    char input[READ_SIZE]; /* of all connections, in turn */
};

static struct epoll_socket *socket_of(struct transport *t)
{
    return tk_container_of((struct ws_connection *)t, struct epoll_socket, ws);
}

/* From now on (EPOLL_CTL_ADD), or anew (EPOLL_CTL_MOD): what is the case already is reported, too.
 */
static bool watch(struct epoll_socket *s, int operation)
{
    uint32_t events = EPOLLET | EPOLLIN | EPOLLRDHUP | (s->unsent ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = s};
    return epoll_ctl(s->all->epoll, operation, s->ws.fd, &event) == 0;
}

static void free_socket(struct epoll_socket *s)
{
    close(s->ws.fd);
    free(s->unsent);
    free(s);
}

static void end(struct epoll_socket *s)
{
    ws_connection_on_closed(&s->ws);
    free_socket(s);
}

/* How much the kernel takes now; -1: the connection is broken. */
static ssize_t send_now(struct epoll_socket *s, const char *bytes, size_t len)
{
    ssize_t sent = send(s->ws.fd, bytes, len, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static void append_unsent(struct epoll_socket *s, struct tk_slice bytes)
{
    size_t len = s->unsent ? s->unsent->len : 0;
    s->unsent = tk_xrealloc(s->unsent, sizeof(*s->unsent) + len + bytes.len);
    if (len == 0)
        s->unsent->start = 0;
    memcpy(s->unsent->bytes + len, bytes.ptr, bytes.len);
    s->unsent->len = len + bytes.len;
}

static bool epoll_write(struct transport *t, struct tk_slice frames)
{
    struct epoll_socket *s = socket_of(t);
    ssize_t sent = send_now(s, frames.ptr, frames.len);
    if (sent < 0)
        return false;
    if ((size_t)sent == frames.len)
        return true;
    append_unsent(s, tk_slice(frames.ptr + sent, frames.len - (size_t)sent));
    return watch(s, EPOLL_CTL_MOD);
}

static bool epoll_is_blocked(struct transport *t)
{
    return socket_of(t)->unsent;
}

static void epoll_write_close(struct transport *t, struct tk_slice frame)
{
    if (epoll_is_blocked(t))
        append_unsent(socket_of(t), frame);
    else
        (void)epoll_write(t, frame); /* a broken connection shows by itself */
}

static void epoll_kill(struct transport *t)
{
    end(socket_of(t));
}

/* False: the connection is broken. */
static bool write_unsent(struct epoll_socket *s)
{
    struct unsent *u = s->unsent;
    ssize_t sent = send_now(s, u->bytes + u->start, u->len - u->start);
    if (sent < 0)
        return false;
    u->start += (size_t)sent;
    if (u->start < u->len)
        return true;
    s->unsent = NULL;
    free(u);
    if (!watch(s, EPOLL_CTL_MOD))
        return false;
    ws_connection_on_writable(&s->ws);
    return true;
}

/*
 * One read at a time: who sends without end must not hold up the others. False: the connection has
 * ended.
 */
static bool read_some(struct epoll_socket *s, bool has_ended)
{
    ssize_t n = recv(s->ws.fd, s->all->input, READ_SIZE, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (!ws_connection_on_bytes(&s->ws, s->all->input, (size_t)n))
        return false;
    bool may_have_more = has_ended || n == READ_SIZE;
    return !may_have_more || watch(s, EPOLL_CTL_MOD);
}

static void handle(struct epoll_socket *s, uint32_t events)
{
    bool goes_on = true;
    if (events & EPOLLOUT && s->unsent)
        goes_on = write_unsent(s);
    if (goes_on && events & (EPOLLIN | ENDED))
        goes_on = read_some(s, events & ENDED);
    if (!goes_on)
        end(s);
}

/* No connection ends here but the one at hand: the others wait for the turn's end (transport.h). */
static int handle_ready(struct sockets *all)
{
    int n = epoll_wait(all->epoll, all->ready, READY_AT_ONCE, 0);
    for (int i = 0; i < n; i++)
        handle(all->ready[i].data.ptr, all->ready[i].events);
    return n;
}

/* Everybody once: the more messages one turn brings, the more of them share a write at its end. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
    for (int round = 0; round < ROUNDS_PER_TURN; round++) {
        if (handle_ready(poll->data) < READY_AT_ONCE)
            return;
    }
}

static struct sockets *epoll_open(uv_loop_t *loop)
{
    struct sockets *all = tk_xcalloc(1, sizeof(*all));
    all->poll.data = all;
    all->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (all->epoll >= 0 && uv_poll_init(loop, &all->poll, all->epoll) == 0 &&
        uv_poll_start(&all->poll, UV_READABLE, on_ready) == 0)
        return all;
    tk_log_error("epoll did not start");
    if (all->epoll >= 0)
        close(all->epoll);
    free(all);
    return NULL;
}

static void free_all(uv_handle_t *handle)
{
    struct sockets *all = handle->data;
    close(all->epoll);
    free(all);
}

static void epoll_close(struct sockets *all)
{
    uv_loop_t *loop = all->poll.loop;
    uv_close((uv_handle_t *)&all->poll, free_all);
    uv_run(loop, UV_RUN_NOWAIT);
}

static struct ws_connection *epoll_adopt(struct sockets *all, int fd)
{
    struct epoll_socket *s = tk_xcalloc(1, sizeof(*s));
    s->all = all;
    s->ws.fd = fd;
    if (watch(s, EPOLL_CTL_ADD))
        return &s->ws;
    free_socket(s);
    return NULL;
}

const struct sockets_ops epoll_sockets = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .adopt = epoll_adopt,
    .transport =
        {
            .write = epoll_write,
            .is_blocked = epoll_is_blocked,
            .write_close = epoll_write_close,
            .kill = epoll_kill,
        },
};
