/* SPDX-License-Identifier: MIT */
/*
 * The life of a client: waiting -> connecting -> upgrading -> joining -> joined, and lost from any
 * of them. Clients are started in the order of their numbers, so deadlines and heartbeats, which
 * are equally long for all, are due in order, too: each is a queue of which only the head is looked
 * at. With options.comes_back a lost client is away instead, until it connects again.
 *
 * Not here: what a broadcast means (delivery).
 */
#include "tests/bench/clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tk_buf.h"
#include "tests/bench/clock.h"
#include "tests/bench/ws.h"

#define READ_SIZE            (256U << 10)
#define CLIENTS_PER_ADDRESS  4000
#define COMPLAINTS           10 /* about the first so many only */
#define MAX_HANDSHAKE_ANSWER 4096
#define RETRY_CHECK_NS       (5 * NS_PER_MS)
#define SLOW_READ_NS         (100 * NS_PER_MS) /* between two reads of a slow client */
#define SLOW_RECEIVE_BUFFER  4096              /* so that what it does not read waits elsewhere */

/* Refs are the same for all clients and never used twice at a time. */
#define JOIN_REPLY      "[\"1\",\"1\","
#define HEARTBEAT_PUSH  "[null,\"2\",\"phoenix\",\"heartbeat\",{}]"
#define HEARTBEAT_REPLY "[null,\"2\",\"phoenix\",\"phx_reply\","
#define STATUS_OK       "\"status\":\"ok\""
#define STATUS_ERROR    "\"status\":\"error\""
#define REF_1           "[\"1\","

#define EVENT_WITHIN 512 /* bytes of a text */

enum client_state {
    CLIENT_WAITING,
    CLIENT_CONNECTING,
    CLIENT_UPGRADING,
    CLIENT_JOINING,
    CLIENT_JOINED,
    CLIENT_LOST,
    CLIENT_AWAY,
};

struct client {
    int fd;
    uint8_t state; /* enum client_state */
    bool awaits_heartbeat;
    bool is_in_heartbeats;
    uint8_t tries; /* connects since it was last open */
    uint32_t room;
    uint64_t since_ns;     /* connect; while away: when to try again */
    uint64_t heartbeat_ns; /* the last one, or when it joined */
    uint64_t lost_ns;      /* when it was joined last; 0: it has not been */
    bool is_in_presence;   /* the next frame goes on with such a message */
    bool has_pushed;       /* clients_push */
    struct tk_buf rest;    /* the start of a frame that is not complete yet */
};

struct room {
    char *topic;
    char *shout; /* how a frame begins that brings a shout */
    size_t shout_len;
    uint32_t joined;
};

struct clients {
    struct clients_options options;
    int epoll_fd;
    struct client *all;
    struct room *rooms;
    uint32_t room_count;
    struct clients_totals totals;
    struct histogram join_times;

    uint32_t started;        /* clients that were told to connect */
    uint32_t start_until;    /* and how many shall be */
    uint32_t oldest_joining; /* nobody before it is on the way in */
    uint32_t max_connecting;
    uint64_t connect_every_ns;
    uint64_t next_connect_ns;

    uint64_t next_slow_read_ns;
    uint64_t next_retry_ns;
    struct clients_return returned;

    uint32_t *heartbeats; /* ring of client indexes, next one due first */
    uint32_t heartbeats_head, heartbeats_count;

    clients_shout_fn on_shout;
    void *arg;
    clients_presence_fn on_presence;
    void *presence_arg;
    unsigned complaints;
    char read_buffer[READ_SIZE];
};

/* Life ----------------------------------------------------------------------------------------- */

static void make_rooms(struct clients *c)
{
    c->room_count = c->options.rooms > 0 ? c->options.rooms : 1;
    c->rooms = tk_xcalloc(c->room_count, sizeof(*c->rooms));
    for (uint32_t i = 0; i < c->room_count; i++) {
        struct room *room = &c->rooms[i];
        room->topic = c->options.rooms > 0 ? tk_xasprintf("%s%" PRIu32, c->options.topic, i)
                                           : tk_xstrdup(c->options.topic);
        room->shout = tk_xasprintf("[null,null,\"%s\",\"shout\",", room->topic);
        room->shout_len = strlen(room->shout);
    }
}

struct clients *clients_new(int epoll_fd, const struct clients_options *options)
{
    struct clients *c = tk_xcalloc(1, sizeof(*c));
    c->options = *options;
    c->epoll_fd = epoll_fd;
    c->all = tk_xcalloc((size_t)options->count + 1, sizeof(*c->all));
    c->heartbeats = tk_xcalloc((size_t)options->count + 1, sizeof(*c->heartbeats));
    make_rooms(c);
    for (uint32_t i = 0; i < options->count; i++) {
        c->all[i].fd = -1;
        c->all[i].room = (options->first + i) % c->room_count;
    }
    return c;
}

void clients_free(struct clients *c)
{
    for (uint32_t i = 0; i < c->started; i++) {
        if (c->all[i].fd >= 0)
            close(c->all[i].fd);
        tk_buf_fini(&c->all[i].rest);
    }
    for (uint32_t i = 0; i < c->room_count; i++) {
        free(c->rooms[i].topic);
        free(c->rooms[i].shout);
    }
    free(c->rooms);
    free(c->heartbeats);
    free(c->all);
    free(c);
}

void clients_on_shout(struct clients *c, clients_shout_fn fn, void *arg)
{
    c->on_shout = fn;
    c->arg = arg;
}

void clients_on_presence(struct clients *c, clients_presence_fn fn, void *arg)
{
    c->on_presence = fn;
    c->presence_arg = arg;
}

static uint32_t index_of(const struct clients *c, const struct client *cl)
{
    return (uint32_t)(cl - c->all);
}

/* Says what happened, unless that has been said often enough. */
static void complain(struct clients *c, const struct client *cl, const char *what,
                     struct tk_slice detail)
{
    if (c->complaints++ >= COMPLAINTS)
        return;
    fprintf(stderr, "loadgen: client %" PRIu32 " %s", c->options.first + index_of(c, cl), what);
    for (size_t i = 0; i < detail.len && i < 200; i++)
        fputc(detail.ptr[i] >= ' ' && detail.ptr[i] < 127 ? detail.ptr[i] : '.', stderr);
    fputc('\n', stderr);
}

static bool is_on_the_way_in(const struct client *cl)
{
    return cl->state > CLIENT_WAITING && cl->state < CLIENT_JOINED;
}

static bool is_connected(const struct client *cl)
{
    return cl->fd >= 0;
}

/* reconnectAfterMs of phoenix.js since 1.4.4 (C70). */
static uint64_t retry_delay_ns(uint8_t tries)
{
    static const uint16_t delays_ms[] = {10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000};
    size_t last = TK_ARRAY_LEN(delays_ms) - 1;
    return delays_ms[tries < last ? tries : last] * NS_PER_MS;
}

static void go_away(struct clients *c, struct client *cl, bool was_joined)
{
    uint64_t now_ns = clock_ns();
    if (was_joined) {
        cl->lost_ns = now_ns;
        if (c->returned.lost++ == 0)
            c->returned.first_lost_ns = now_ns;
    }
    cl->state = CLIENT_AWAY;
    cl->since_ns = now_ns + retry_delay_ns(cl->tries);
    cl->tries += cl->tries < UINT8_MAX;
    c->totals.away++;
}

static void lose(struct clients *c, struct client *cl, const char *why, struct tk_slice detail)
{
    bool was_joined = cl->state == CLIENT_JOINED;
    if (was_joined) {
        c->totals.joined--;
        c->rooms[cl->room].joined--;
    } else {
        c->totals.connecting--;
    }
    close(cl->fd);
    cl->fd = -1;
    cl->awaits_heartbeat = false;
    tk_buf_fini(&cl->rest);
    if (c->options.comes_back) {
        go_away(c, cl, was_joined);
        return;
    }
    complain(c, cl, why, detail);
    c->totals.failed++;
    cl->state = CLIENT_LOST;
}

static void lose_errno(struct clients *c, struct client *cl, const char *why, int error)
{
    lose(c, cl, why, tk_slice_str(strerror(error)));
}

/* What fits into a socket's send buffer at once, which is all that clients here ever send. */
static bool send_all(struct clients *c, struct client *cl, struct tk_slice bytes)
{
    ssize_t n = send(cl->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == (ssize_t)bytes.len)
        return true;
    if (n < 0)
        lose_errno(c, cl, "cannot send: ", errno);
    else
        lose(c, cl, "cannot send: the server does not read", TK_SLICE(""));
    return false;
}

static bool send_text(struct clients *c, struct client *cl, struct tk_slice text)
{
    struct tk_buf frame = {0};
    ws_append_client_frame(&frame, WS_TEXT, text);
    bool is_sent = send_all(c, cl, tk_buf_slice(&frame));
    tk_buf_fini(&frame);
    return is_sent;
}

/* On the way in -------------------------------------------------------------------------------- */

/* More than one source address, because each has 28,000 ports towards one server port. */
static int connect_from(uint32_t number, const struct sockaddr_in *server, bool is_slow)
{
    const int on = 1, small = SLOW_RECEIVE_BUFFER;
    const struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + number / CLIENTS_PER_ADDRESS),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (is_slow)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0 &&
        bind(fd, (const struct sockaddr *)&source, sizeof(source)) == 0 &&
        (connect(fd, (const struct sockaddr *)server, sizeof(*server)) == 0 ||
         errno == EINPROGRESS))
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void watch(struct clients *c, struct client *cl, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = index_of(c, cl)};
    tk_assert(epoll_ctl(c->epoll_fd, operation, cl->fd, &event) == 0);
}

static void start_connect(struct clients *c, struct client *cl, uint64_t now_ns)
{
    cl->fd = connect_from(c->options.first + index_of(c, cl), &c->options.server,
                          c->options.read_bytes_per_s > 0);
    cl->state = CLIENT_CONNECTING;
    cl->is_in_presence = false;
    cl->since_ns = now_ns;
    c->totals.connecting++;
    c->returned.attempts++;
    if (cl->fd < 0) {
        lose_errno(c, cl, "cannot connect: ", errno);
        return;
    }
    watch(c, cl, EPOLL_CTL_ADD, EPOLLOUT);
}

/* What Chromium sends, so that parsing it costs what it will cost. */
static void send_upgrade(struct clients *c, struct client *cl)
{
    struct tk_buf request = {0};
    tk_buf_appendf(&request,
                   "GET /socket/websocket?userToken=00000000-0000-4000-8000-%012" PRIx32
                   "&vsn=2.0.0 HTTP/1.1\r\n"
                   "Host: 127.0.0.1:%u\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
                   "Cache-Control: no-cache\r\n"
                   "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
                   "Gecko) Chrome/113.0.0.0 Safari/537.36\r\n"
                   "Upgrade: websocket\r\nOrigin: http://localhost:3000\r\n"
                   "Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\n"
                   "Accept-Language: en-US,en;q=0.9\r\nSec-WebSocket-Key: " WS_KEY "\r\n"
                   "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
                   c->options.first + index_of(c, cl), ntohs(c->options.server.sin_port));
    cl->state = CLIENT_UPGRADING;
    (void)send_all(c, cl, tk_buf_slice(&request));
    tk_buf_fini(&request);
}

static void on_connected(struct clients *c, struct client *cl)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(cl->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        lose_errno(c, cl, "cannot connect: ", error);
        return;
    }
    watch(c, cl, EPOLL_CTL_MOD, EPOLLIN);
    send_upgrade(c, cl);
}

/* The length of the answer, or 0 when it is incomplete or not the right one. */
static size_t on_upgrade_answer(struct clients *c, struct client *cl, struct tk_slice data)
{
    static const char success[] = "HTTP/1.1 101 ";
    const char *end = memmem(data.ptr, data.len, "\r\n\r\n", 4);
    if (!end) {
        if (data.len > MAX_HANDSHAKE_ANSWER)
            lose(c, cl, "got an endless answer", TK_SLICE(""));
        return 0;
    }
    if (data.len < sizeof(success) || memcmp(data.ptr, success, sizeof(success) - 1) != 0 ||
        !memmem(data.ptr, (size_t)(end - data.ptr), WS_ACCEPT, sizeof(WS_ACCEPT) - 1)) {
        lose(c, cl, "was refused: ", data);
        return 0;
    }
    cl->state = CLIENT_JOINING;
    cl->tries = 0;
    struct tk_buf join = {0};
    tk_buf_appendf(&join, "[\"1\",\"1\",\"%s\",\"phx_join\",{}]", c->rooms[cl->room].topic);
    bool is_sent = send_text(c, cl, tk_buf_slice(&join));
    tk_buf_fini(&join);
    return is_sent ? (size_t)(end - data.ptr) + 4 : 0;
}

/* One that has come back may still have its place. */
static void queue_heartbeat(struct clients *c, struct client *cl, uint64_t now_ns)
{
    if (cl->is_in_heartbeats)
        return;
    uint32_t slot = (c->heartbeats_head + c->heartbeats_count++) % c->options.count;
    c->heartbeats[slot] = index_of(c, cl);
    cl->is_in_heartbeats = true;
    cl->heartbeat_ns = now_ns;
}

static void count_return(struct clients *c, struct client *cl, uint64_t now_ns)
{
    if (cl->lost_ns == 0)
        return;
    histogram_add(&c->returned.times, now_ns - cl->lost_ns);
    c->returned.returned++;
    c->returned.last_returned_ns = now_ns;
    cl->lost_ns = 0;
}

static void on_joined(struct clients *c, struct client *cl, uint64_t now_ns)
{
    histogram_add(&c->join_times, now_ns - cl->since_ns);
    cl->state = CLIENT_JOINED;
    c->totals.connecting--;
    c->totals.joined++;
    c->rooms[cl->room].joined++;
    count_return(c, cl, now_ns);
    queue_heartbeat(c, cl, now_ns);
    if (c->options.read_bytes_per_s > 0)
        watch(c, cl, EPOLL_CTL_MOD, 0); /* from here on read_slowly reads */
}

/* Frames --------------------------------------------------------------------------------------- */

static bool starts_with(struct tk_slice text, const char *prefix, size_t len)
{
    return text.len >= len && memcmp(text.ptr, prefix, len) == 0;
}

static bool contains(struct tk_slice text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static void hand_presence(struct clients *c, struct client *cl, struct tk_slice piece,
                          bool is_first, uint64_t now_ns)
{
    if (c->on_presence)
        c->on_presence(c->presence_arg, index_of(c, cl), piece, is_first, now_ns);
}

/* The event stands in front of the payload. */
static bool is_presence(struct tk_slice text)
{
    return contains(tk_slice(text.ptr, text.len < EVENT_WITHIN ? text.len : EVENT_WITHIN),
                    "\"presence_");
}

static bool is_answer_to_push(const struct client *cl, struct tk_slice text)
{
    return cl->has_pushed && starts_with(text, REF_1, sizeof(REF_1) - 1) &&
           !contains(text, STATUS_ERROR);
}

static void on_text(struct clients *c, struct client *cl, struct tk_slice text, uint64_t now_ns)
{
    const struct room *room = &c->rooms[cl->room];
    if (cl->state == CLIENT_JOINED && text.len > room->shout_len &&
        starts_with(text, room->shout, room->shout_len)) {
        struct tk_slice payload =
            tk_slice(text.ptr + room->shout_len, text.len - room->shout_len - 1);
        if (c->on_shout)
            c->on_shout(c->arg, index_of(c, cl), payload, now_ns);
    } else if (starts_with(text, HEARTBEAT_REPLY, sizeof(HEARTBEAT_REPLY) - 1) &&
               cl->awaits_heartbeat) {
        cl->awaits_heartbeat = false;
        c->totals.heartbeats_answered++;
    } else if (cl->state == CLIENT_JOINING &&
               starts_with(text, JOIN_REPLY, sizeof(JOIN_REPLY) - 1)) {
        if (contains(text, STATUS_OK))
            on_joined(c, cl, now_ns);
        else
            lose(c, cl, "may not join: ", text);
    } else if (is_presence(text)) {
        hand_presence(c, cl, text, true, now_ns);
    } else if (!is_answer_to_push(cl, text)) {
        c->totals.unexpected_frames++;
        complain(c, cl, "got an unexpected frame: ", text);
    }
}

/* Only what is about presence is large enough to come in pieces. */
static void on_piece(struct clients *c, struct client *cl, const struct ws_frame *frame,
                     uint64_t now_ns)
{
    struct tk_slice piece = tk_slice(frame->payload, frame->len);
    bool is_first = !cl->is_in_presence;
    if (frame->opcode != (is_first ? WS_TEXT : WS_CONTINUATION) ||
        (is_first && !is_presence(piece))) {
        lose(c, cl, "got pieces of something unexpected: ", piece);
        return;
    }
    cl->is_in_presence = !frame->is_final;
    hand_presence(c, cl, piece, is_first, now_ns);
}

static void on_frame(struct clients *c, struct client *cl, const struct ws_frame *frame,
                     uint64_t now_ns)
{
    struct tk_slice payload = tk_slice(frame->payload, frame->len);
    char code[8];
    if (frame->opcode == WS_CONTINUATION || !frame->is_final) {
        on_piece(c, cl, frame, now_ns);
        return;
    }
    switch (frame->opcode) {
    case WS_TEXT:
        on_text(c, cl, payload, now_ns);
        break;
    case WS_PING: {
        struct tk_buf pong = {0};
        ws_append_client_frame(&pong, WS_PONG, payload);
        (void)send_all(c, cl, tk_buf_slice(&pong));
        tk_buf_fini(&pong);
        break;
    }
    case WS_CLOSE:
        snprintf(code, sizeof(code), "%d",
                 frame->len < 2 ? 1005
                                : (uint8_t)frame->payload[0] << 8 | (uint8_t)frame->payload[1]);
        lose(c, cl, "was closed with ", tk_slice_str(code));
        break;
    default:
        lose(c, cl, "got a frame of a kind nobody asked for", TK_SLICE(""));
    }
}

/* Handles the whole frames at the start of data; returns how many bytes they were. */
static size_t read_frames(struct clients *c, struct client *cl, char *data, size_t len,
                          uint64_t now_ns)
{
    size_t done = 0, size = 0;
    struct ws_frame frame;
    while (is_connected(cl)) {
        enum ws_parse result =
            ws_parse(data + done, len - done, false, CLIENTS_MAX_FRAME, &frame, &size);
        if (result == WS_PARSE_MORE)
            break;
        if (result == WS_PARSE_BAD) {
            lose(c, cl, "got a bad or very long frame", TK_SLICE(""));
            break;
        }
        on_frame(c, cl, &frame, now_ns);
        done += size;
    }
    return done;
}

static void on_data(struct clients *c, struct client *cl, char *data, size_t len)
{
    uint64_t now_ns = clock_ns();
    size_t done = 0;
    if (cl->state == CLIENT_UPGRADING)
        done = on_upgrade_answer(c, cl, tk_slice(data, len));
    if (cl->state == CLIENT_JOINING || cl->state == CLIENT_JOINED)
        done += read_frames(c, cl, data + done, len - done, now_ns);
    if (!is_connected(cl))
        return;
    tk_buf_clear(&cl->rest);
    if (done == len)
        tk_buf_fini(&cl->rest);
    else
        tk_buf_append(&cl->rest, data + done, len - done);
}

static void on_readable(struct clients *c, struct client *cl, size_t limit)
{
    size_t kept = cl->rest.len;
    tk_assert(kept <= CLIENTS_MAX_FRAME + 16);
    if (kept > 0)
        memcpy(c->read_buffer, cl->rest.data, kept);
    size_t room = READ_SIZE - kept;
    ssize_t n = recv(cl->fd, c->read_buffer + kept, room < limit ? room : limit, MSG_DONTWAIT);
    if (n > 0)
        on_data(c, cl, c->read_buffer, kept + (size_t)n);
    else if (n == 0)
        lose(c, cl, "was cut off", TK_SLICE(""));
    else if (errno != EAGAIN && errno != EINTR)
        lose_errno(c, cl, "cannot read: ", errno);
}

void clients_on_event(struct clients *c, uint64_t index, uint32_t events)
{
    tk_assert(index < c->options.count);
    struct client *cl = &c->all[index];
    (void)events;
    if (cl->state == CLIENT_CONNECTING)
        on_connected(c, cl);
    else if (is_connected(cl))
        on_readable(c, cl, READ_SIZE);
}

/* Time ----------------------------------------------------------------------------------------- */

void clients_begin_join(struct clients *c, uint32_t count, uint32_t connects_per_s,
                        uint32_t max_connecting)
{
    uint32_t room_left = c->options.count - c->started;
    memset(&c->join_times, 0, sizeof(c->join_times));
    c->start_until = c->started + (count < room_left ? count : room_left);
    c->connect_every_ns = NS_PER_S / connects_per_s;
    c->next_connect_ns = clock_ns();
    c->max_connecting = max_connecting;
}

bool clients_are_joining(const struct clients *c)
{
    return c->started < c->start_until || c->totals.connecting > 0;
}

static uint64_t start_due_connects(struct clients *c, uint64_t now_ns)
{
    while (c->started < c->start_until && c->totals.connecting < c->max_connecting &&
           c->next_connect_ns <= now_ns) {
        start_connect(c, &c->all[c->started++], now_ns);
        c->next_connect_ns += c->connect_every_ns;
    }
    if (c->started == c->start_until || c->totals.connecting >= c->max_connecting)
        return NEVER_NS;
    return c->next_connect_ns;
}

static uint64_t retry(struct clients *c, uint64_t now_ns)
{
    if (c->totals.away == 0)
        return NEVER_NS;
    if (now_ns < c->next_retry_ns)
        return c->next_retry_ns;
    for (uint32_t i = 0; i < c->started; i++) {
        struct client *cl = &c->all[i];
        if (cl->state != CLIENT_AWAY || now_ns < cl->since_ns)
            continue;
        c->totals.away--;
        start_connect(c, cl, now_ns);
    }
    c->next_retry_ns = now_ns + RETRY_CHECK_NS;
    return c->next_retry_ns;
}

static uint64_t give_up_late_joins(struct clients *c, uint64_t now_ns)
{
    uint64_t limit_ns = c->options.join_limit_ms * NS_PER_MS;
    for (; c->oldest_joining < c->started; c->oldest_joining++) {
        struct client *cl = &c->all[c->oldest_joining];
        if (!is_on_the_way_in(cl))
            continue;
        if (now_ns < cl->since_ns + limit_ns)
            return cl->since_ns + limit_ns;
        lose(c, cl, "did not get in within the time limit", TK_SLICE(""));
    }
    return NEVER_NS;
}

static void send_heartbeat(struct clients *c, struct client *cl, uint64_t now_ns)
{
    if (cl->state != CLIENT_JOINED)
        return;
    if (cl->awaits_heartbeat) {
        lose(c, cl, "got no answer to its heartbeat", TK_SLICE(""));
        return;
    }
    cl->awaits_heartbeat = true;
    if (!send_text(c, cl, TK_SLICE(HEARTBEAT_PUSH)))
        return;
    c->totals.heartbeats_sent++;
    queue_heartbeat(c, cl, now_ns);
}

static uint64_t send_due_heartbeats(struct clients *c, uint64_t now_ns)
{
    uint64_t interval_ns = c->options.heartbeat_ms * NS_PER_MS;
    while (c->heartbeats_count > 0) {
        struct client *cl = &c->all[c->heartbeats[c->heartbeats_head]];
        if (now_ns < cl->heartbeat_ns + interval_ns)
            return cl->heartbeat_ns + interval_ns;
        c->heartbeats_head = (c->heartbeats_head + 1) % c->options.count;
        c->heartbeats_count--;
        cl->is_in_heartbeats = false;
        send_heartbeat(c, cl, now_ns);
    }
    return NEVER_NS;
}

static uint64_t read_slowly(struct clients *c, uint64_t now_ns)
{
    if (c->options.read_bytes_per_s == 0)
        return NEVER_NS;
    if (now_ns < c->next_slow_read_ns)
        return c->next_slow_read_ns;
    size_t share = (size_t)(c->options.read_bytes_per_s * SLOW_READ_NS / NS_PER_S);
    for (uint32_t i = 0; i < c->started; i++)
        if (c->all[i].state == CLIENT_JOINED)
            on_readable(c, &c->all[i], share > 0 ? share : 1);
    c->next_slow_read_ns = now_ns + SLOW_READ_NS;
    return c->next_slow_read_ns;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t clients_tick(struct clients *c, uint64_t now_ns)
{
    uint64_t connect_ns = start_due_connects(c, now_ns);
    uint64_t late_ns = give_up_late_joins(c, now_ns);
    uint64_t heartbeat_ns = send_due_heartbeats(c, now_ns);
    uint64_t slow_ns = earlier(read_slowly(c, now_ns), retry(c, now_ns));
    return earlier(earlier(connect_ns, late_ns), earlier(heartbeat_ns, slow_ns));
}

/* Questions ------------------------------------------------------------------------------------ */

const struct histogram *clients_join_times(const struct clients *c)
{
    return &c->join_times;
}

void clients_begin_return(struct clients *c)
{
    memset(&c->returned, 0, sizeof(c->returned));
}

const struct clients_return *clients_return(const struct clients *c)
{
    return &c->returned;
}

const struct clients_totals *clients_totals(const struct clients *c)
{
    return &c->totals;
}

uint32_t clients_room_count(const struct clients *c)
{
    return c->room_count;
}

uint32_t clients_in_room(const struct clients *c, uint32_t room)
{
    return c->rooms[room].joined;
}

bool clients_is_joined(const struct clients *c, uint32_t client)
{
    return c->all[client].state == CLIENT_JOINED;
}

const char *clients_topic_of(const struct clients *c, uint32_t client)
{
    return c->rooms[c->all[client].room].topic;
}

void clients_push(struct clients *c, uint32_t client, struct tk_slice text)
{
    struct client *cl = &c->all[client];
    cl->has_pushed = true;
    (void)send_text(c, cl, text);
}

bool clients_is_member(const struct clients *c, uint32_t client, uint32_t room)
{
    return c->all[client].room == room;
}

const char *clients_topic(const struct clients *c, uint32_t room)
{
    return c->rooms[room].topic;
}

bool clients_send(struct clients *c, uint32_t room, uint64_t turn, struct tk_slice frames)
{
    uint32_t step = c->room_count;
    uint32_t start = (room + step - c->options.first % step) % step;
    uint32_t members = c->started > start ? (c->started - start + step - 1) / step : 0;
    for (uint32_t i = 0; i < members; i++) {
        struct client *cl = &c->all[start + (turn + i) % members * step];
        if (cl->state == CLIENT_JOINED)
            return send_all(c, cl, frames);
    }
    return false;
}
