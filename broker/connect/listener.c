/* SPDX-License-Identifier: MIT */
/*
 * The socket is open while there is room and watched while accepting is not too fast: poll is NULL
 * exactly while it is closed.
 */
#include "broker/connect/listener.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/connect/handshake.h"

#define BACKLOG         4096
#define ACCEPTS_AT_ONCE 64
#define PAUSE_MS        10 /* when accepts come too fast */
#define BURST           8

static int bind_socket(const struct addrinfo *address, bool shared)
{
    int on = 1, off = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) ||
        bind(fd, address->ai_addr, address->ai_addrlen)) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

int listener_bind(const char *host, int port, bool shared)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *address;
    char service[8];
    snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(host, service, &hints, &address)) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = bind_socket(address, shared);
    int reason = errno;
    freeaddrinfo(address);
    errno = reason;
    return fd;
}

static size_t connections(const struct listener *l)
{
    return l->broker->sessions.count + l->handshakes->count;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void close_socket(struct listener *l)
{
    if (!l->poll)
        return;
    uv_close((uv_handle_t *)l->poll, free_handle);
    l->poll = NULL;
    close(l->fd);
    l->fd = -1;
}

/*
 * Closed at once, unlike other refusals: whoever opens too many is not to hold a socket of ours
 * meanwhile. What has come of the request is read, so that the answer is not lost to a reset.
 */
static void refuse_address(struct listener *l, int fd)
{
    static const char response[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 10\r\n"
                                   "Content-Length: 0\r\nConnection: close\r\n\r\n";
    char request[4096];
    l->broker->stats.refused++;
    l->broker->stats.refused_address++;
    (void)!recv(fd, request, sizeof(request), 0);
    (void)!send(fd, response, sizeof(response) - 1, MSG_NOSIGNAL);
    close(fd);
}

static void start_client(struct listener *l, int fd, const struct sockaddr *peer)
{
    struct address_use *address;
    if (address_limit_take(&l->broker->addresses, peer, &address)) {
        refuse_address(l, fd);
        return;
    }
    handshake_start(l->handshakes, fd, address);
}

/* It is tried again ten times a second. */
static void log_failed_accept(struct listener *l, int error)
{
    uint64_t suppressed;
    if (tk_log_allow(&l->failed_log, l->broker->now_ms, &suppressed))
        tk_log_error("accept failed error=\"%s\" connections=%zu more=%" PRIu64, strerror(error),
                     connections(l), suppressed);
}

/* False when the queue is empty or accepting is over for now. */
static bool accept_one(struct listener *l)
{
    struct sockaddr_storage peer = {0};
    socklen_t peer_len = sizeof(peer);
    int fd = accept4(l->fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        start_client(l, fd, (const struct sockaddr *)&peer);
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED)
        return true;
    if (errno != EAGAIN) {
        log_failed_accept(l, errno);
        close_socket(l); /* listener_check_room opens it again */
    }
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_resume(uv_timer_t *timer)
{
    struct listener *l = timer->data;
    l->is_paused = false;
    if (l->poll)
        uv_poll_start(l->poll, UV_READABLE, on_readable);
}

static void pause_accepting(struct listener *l)
{
    l->is_paused = true;
    l->broker->stats.accept_pauses++;
    uv_poll_stop(l->poll);
    uv_timer_start(&l->resume, on_resume, PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    (void)events;
    if (status < 0)
        return;
    uint64_t now = uv_now(l->broker->loop);
    int64_t per_s = l->broker->settings->accepts_per_s;
    int64_t burst = BURST + per_s * 2 * PAUSE_MS / 1000; /* more than fills in a pause */
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        if (!rate_limit_allows(&l->accepts, now, per_s, burst)) {
            pause_accepting(l);
            return;
        }
        if (!accept_one(l))
            return;
        (void)rate_limit_take(&l->accepts, now, per_s, burst);
        if (connections(l) >= (size_t)l->broker->settings->max_connections) {
            tk_log_warn("full: no more clients here connections=%zu", connections(l));
            close_socket(l);
            return;
        }
    }
}

/* What clients' sockets are to have; they inherit it. */
static void set_client_options(int fd, int send_buffer_bytes)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(send_buffer_bytes));
}

static enum tk_err open_listener(struct listener *l)
{
    const struct broker_settings *settings = l->broker->settings;
    int fd = listener_bind(settings->host, (int)settings->port, true);
    if (fd < 0)
        return TK_EIO;
    uv_poll_t *poll = tk_xmalloc(sizeof(*poll));
    set_client_options(fd, (int)settings->send_buffer_bytes);
    if (listen(fd, BACKLOG) || uv_poll_init(l->broker->loop, poll, fd)) {
        int reason = errno;
        free(poll);
        close(fd);
        errno = reason;
        return TK_EIO;
    }
    l->fd = fd;
    l->poll = poll;
    poll->data = l;
    if (!l->is_paused)
        uv_poll_start(poll, UV_READABLE, on_readable);
    return TK_OK;
}

enum tk_err listener_start(struct listener *l, struct broker *b, struct handshakes *hs)
{
    *l = (struct listener){.broker = b, .handshakes = hs, .fd = -1};
    uv_timer_init(b->loop, &l->resume);
    l->resume.data = l;
    enum tk_err err = open_listener(l);
    if (err)
        tk_log_error("cannot listen on %s port %d: %s", b->settings->host, (int)b->settings->port,
                     strerror(errno));
    return err;
}

void listener_check_room(struct listener *l)
{
    size_t max = (size_t)l->broker->settings->max_connections;
    if (!l->poll && !l->is_stopped && connections(l) <= max - max / 20 - 1)
        (void)open_listener(l); /* tried again at the next check */
}

void listener_stop(struct listener *l)
{
    l->is_stopped = true;
    for (int i = 0; i < BACKLOG && l->poll && accept_one(l); i++)
        ;
    close_socket(l);
    uv_close((uv_handle_t *)&l->resume, NULL);
}
