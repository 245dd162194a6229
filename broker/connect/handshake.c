/* SPDX-License-Identifier: MIT */
/*
 * A handshake is reading (a request is incomplete), waiting (its user is being looked up) or
 * lingering (answered and half closed, so that the answer is not lost to a reset). It leaves this
 * file as a session or as a closed socket. While it waits its socket is not watched, since that
 * costs more than the lookup: a client who goes away meanwhile is noticed when he is answered.
 */
#include "broker/connect/handshake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/connect/upgrade.h"
#include "broker/health.h"
#include "broker/websocket/ws_transport.h"

#define LINGER_MS     1000
#define READ_SIZE     4096
#define PIPELINED_MAX 32 /* requests sent at once that are answered */

enum handshake_state { READING, WAITING, LINGERING };

struct handshake {
    struct handshakes *all;
    struct handshake *prev, *next;
    enum handshake_state state;
    int fd;
    struct tk_buf in; /* from the start of the present request */
    size_t head_len;  /* of that request, once it is complete */
    bool keep_alive;
    struct upgrade_request request; /* while waiting; borrows in */
    enum upgrade_verdict if_known;  /* while waiting: should the user exist */
    struct timer timer;
    struct user_lookup *lookup; /* while waiting */
    struct address_use *address;
    uv_poll_t poll;
    bool has_poll;
    bool is_poll_closing; /* then the memory goes when libuv has let go of it */
    bool saw_eof;
};

static void read_requests(struct handshake *h);
static void on_timer(struct timer *timer, void *arg);

void handshakes_init(struct handshakes *hs, struct broker *b, struct ws_transport *wt)
{
    *hs = (struct handshakes){.broker = b, .transport = wt};
    timer_wheel_init(&hs->wheel, uv_now(b->loop), on_timer, hs);
}

static void free_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_poll(struct handshake *h)
{
    if (!h->has_poll || h->is_poll_closing)
        return;
    h->is_poll_closing = true;
    uv_close((uv_handle_t *)&h->poll, free_closed);
}

/* Unlinks; the socket is closed unless it was handed on (fd is -1 then). */
static void handshake_end(struct handshake *h)
{
    struct handshakes *hs = h->all;
    if (h->lookup)
        user_directory_cancel(h->lookup);
    timer_clear(&hs->wheel, &h->timer);
    tk_buf_fini(&h->in);
    address_limit_give_back(&hs->broker->addresses, h->address);
    if (h->prev)
        h->prev->next = h->next;
    else
        hs->first = h->next;
    if (h->next)
        h->next->prev = h->prev;
    hs->count--;
    close_poll(h);
    if (h->fd >= 0)
        close(h->fd);
    if (!h->has_poll)
        free(h);
}

static void on_timer(struct timer *timer, void *arg)
{
    (void)arg;
    handshake_end(tk_container_of(timer, struct handshake, timer));
}

/* For the next complete request. */
static void set_deadline(struct handshake *h)
{
    timer_set(&h->all->wheel, &h->timer, (uint64_t)h->all->broker->settings->handshake_timeout_ms);
}

/* One read per turn: who sends without end must not hold up the others, nor the deadline. */
static void discard_input(struct handshake *h)
{
    char rest[READ_SIZE];
    ssize_t n = recv(h->fd, rest, sizeof(rest), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        handshake_end(h);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct handshake *h = poll->data;
    (void)events;
    if (status < 0)
        handshake_end(h);
    else if (h->state == LINGERING)
        discard_input(h);
    else
        read_requests(h);
}

static void watch(struct handshake *h)
{
    if (!h->has_poll) {
        if (uv_poll_init(h->all->broker->loop, &h->poll, h->fd)) {
            handshake_end(h);
            return;
        }
        h->poll.data = h;
        h->has_poll = true;
    }
    uv_poll_start(&h->poll, UV_READABLE, on_readable);
}

static void linger(struct handshake *h)
{
    h->state = LINGERING;
    shutdown(h->fd, SHUT_WR);
    timer_set(&h->all->wheel, &h->timer, LINGER_MS);
    watch(h);
}

/* False when the handshake is over: the answer asked for it, or the client does not take it. */
static bool answer(struct handshake *h, const struct tk_buf *response, bool keep_alive)
{
    ssize_t sent = send(h->fd, response->data, response->len, MSG_NOSIGNAL);
    if (sent != (ssize_t)response->len) {
        handshake_end(h);
        return false;
    }
    if (!keep_alive || h->saw_eof) {
        linger(h);
        return false;
    }
    return true;
}

/* A body, even an announced empty one, ends the connection: it is never taken for a request. */
static bool wants_keep_alive(const struct http_head *head)
{
    bool has_length, is_coded;
    http_head_find(head, "content-length", &has_length);
    http_head_find(head, "transfer-encoding", &is_coded);
    return head->minor_version >= 1 && !http_head_lists(head, "connection", "close") &&
           !has_length && !is_coded;
}

/* The request at the start of the buffer is dealt with; goes on as answer does. */
static bool answer_request(struct handshake *h, const struct tk_buf *response)
{
    if (!answer(h, response, h->keep_alive))
        return false;
    tk_buf_consume(&h->in, h->head_len);
    return true;
}

static bool refuse(struct handshake *h, enum upgrade_verdict verdict)
{
    struct tk_buf response = {0};
    h->all->broker->stats.refused++;
    upgrade_write_refusal(verdict, h->keep_alive, &response);
    bool goes_on = answer_request(h, &response);
    tk_buf_fini(&response);
    return goes_on;
}

static bool answer_health(struct handshake *h, const struct http_head *head)
{
    struct tk_buf response = {0};
    health_write_response(h->all->broker, head, h->keep_alive, &response);
    bool goes_on = answer_request(h, &response);
    tk_buf_fini(&response);
    return goes_on;
}

/* The user exists: if nothing else is wrong, the socket becomes a session. */
static bool upgrade(struct handshake *h, const struct user_record *user)
{
    if (h->if_known != UPGRADE_OK)
        return refuse(h, h->if_known);
    struct tk_slice early = tk_slice(h->in.data + h->head_len, h->in.len - h->head_len);
    int fd = h->fd;
    close_poll(h); /* what carries the session watches the socket next */
    h->fd = -1;
    h->request.address = h->address;
    if (ws_transport_adopt(h->all->transport, fd, &h->request, user->nickname, early))
        h->address = NULL;
    else
        h->all->broker->stats.refused++;
    handshake_end(h);
    return false;
}

static enum upgrade_verdict verdict_of(enum tk_err lookup)
{
    switch (lookup) {
    case TK_OK:
        return UPGRADE_OK;
    case TK_ENOTFOUND:
        return UPGRADE_FORBIDDEN;
    default:
        return UPGRADE_UNAVAILABLE;
    }
}

static void on_user(void *arg, enum tk_err err, const struct user_record *user)
{
    struct handshake *h = arg;
    enum upgrade_verdict verdict = verdict_of(err);
    h->lookup = NULL;
    h->state = READING;
    bool goes_on = verdict == UPGRADE_OK ? upgrade(h, user) : refuse(h, verdict);
    if (!goes_on)
        return;
    set_deadline(h);
    read_requests(h);
}

static bool wait_for_user(struct handshake *h)
{
    struct broker *b = h->all->broker;
    if (user_directory_find(b->directory, &h->request.user, on_user, h, &h->lookup))
        return refuse(h, UPGRADE_UNAVAILABLE);
    h->state = WAITING;
    timer_clear(&h->all->wheel, &h->timer); /* the lookup has a deadline of its own */
    if (h->has_poll)
        uv_poll_stop(&h->poll);
    return false;
}

static bool handle_socket_request(struct handshake *h, const struct http_head *head)
{
    struct broker *b = h->all->broker;
    struct user_record user;
    enum upgrade_verdict verdict = upgrade_check_request(head, &b->settings->origins, &h->request);
    if (verdict == UPGRADE_OK && b->is_draining)
        verdict = UPGRADE_UNAVAILABLE;
    if (verdict != UPGRADE_OK)
        return refuse(h, verdict);
    h->if_known = upgrade_check_headers(head, &h->request);
    enum tk_err known = user_directory_cached(b->directory, &h->request.user, &user);
    if (known == TK_OK)
        return upgrade(h, &user);
    if (known == TK_ENOTFOUND)
        return refuse(h, UPGRADE_FORBIDDEN);
    return wait_for_user(h);
}

static bool refuse_unparsed(struct handshake *h, const char *status)
{
    struct tk_buf response = {0};
    tk_buf_appendf(&response, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                   status);
    answer(h, &response, false);
    tk_buf_fini(&response);
    return false;
}

/* One request at the start of the buffer. False: nothing more to do for now. */
static bool handle_request(struct handshake *h)
{
    struct http_head head;
    switch (http_head_parse(tk_buf_slice(&h->in), &head)) {
    case HTTP_HEAD_MORE:
        if (h->saw_eof)
            handshake_end(h);
        else
            watch(h);
        return false;
    case HTTP_HEAD_BAD:
        return refuse_unparsed(h, "400 Bad Request");
    case HTTP_HEAD_URI_LONG:
        return refuse_unparsed(h, "414 URI Too Long");
    case HTTP_HEAD_LARGE:
        return refuse_unparsed(h, "431 Request Header Fields Too Large");
    case HTTP_HEAD_OK:
        break;
    }
    h->head_len = head.len;
    h->keep_alive = wants_keep_alive(&head) && !h->all->broker->is_draining;
    if (health_is_asked(head.path))
        return answer_health(h, &head);
    return handle_socket_request(h, &head);
}

/* Reads what is there, up to one head and a little early data. False: the client is gone. */
static bool read_available(struct handshake *h)
{
    char bytes[READ_SIZE];
    while (h->in.len < HTTP_HEAD_MAX + READ_SIZE) {
        ssize_t n = recv(h->fd, bytes, sizeof(bytes), 0);
        if (n > 0) {
            tk_buf_append(&h->in, bytes, (size_t)n);
            if (n < READ_SIZE)
                return true;
        } else if (n == 0) {
            h->saw_eof = true;
            return true;
        } else if (errno != EINTR) {
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
    }
    return true;
}

static void read_requests(struct handshake *h)
{
    if (!read_available(h)) {
        handshake_end(h);
        return;
    }
    for (int i = 0; i < PIPELINED_MAX; i++) {
        if (!handle_request(h))
            return;
        set_deadline(h);
    }
    refuse_unparsed(h, "429 Too Many Requests");
}

void handshake_start(struct handshakes *hs, int fd, struct address_use *address)
{
    struct handshake *h = tk_xcalloc(1, sizeof(*h));
    h->all = hs;
    h->fd = fd;
    h->address = address;
    h->next = hs->first;
    if (h->next)
        h->next->prev = h;
    hs->first = h;
    hs->count++;
    if (hs->count > hs->broker->stats.handshakes_peak)
        hs->broker->stats.handshakes_peak = hs->count;
    set_deadline(h);
    read_requests(h); /* the request is often here already */
}

void handshakes_drain(struct handshakes *hs)
{
    struct handshake *next;
    for (struct handshake *h = hs->first; h; h = next) {
        next = h->next;
        if (h->state == READING && h->in.len == 0 && h->keep_alive)
            handshake_end(h);
    }
}

void handshakes_abort(struct handshakes *hs)
{
    struct handshake *next;
    for (struct handshake *h = hs->first; h; h = next) {
        next = h->next;
        handshake_end(h);
    }
}
