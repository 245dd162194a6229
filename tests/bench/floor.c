/* SPDX-License-Identifier: MIT */
/*
 * The yardstick: the least a server can do that still speaks the protocol to our load generator.
 * A broadcast is one ready-made frame and one send() per member, nothing else: no queues, no
 * limits, no other process, one topic. What a real broker costs beyond this is what its features
 * cost; where it costs less, joining frames has paid.
 *
 * --spoil makes it a server with a defect, to show that the load generator notices.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tk_buf.h"
#include "tests/bench/ws.h"

#define READ_SIZE      (256U << 10)
#define MAX_FRAME      (64U << 10)
#define EVENTS_AT_ONCE 512
#define BACKLOG        4096
#define MAX_CLIENTS    1000000

#define SPOILED_MEMBER    1 /* index of the one who is treated badly */
#define SPOILED_BROADCAST 3 /* number of the broadcast when it happens */

enum spoil { SPOIL_NOTHING, SPOIL_DROP, SPOIL_DUPLICATE, SPOIL_SWAP, SPOIL_CLOSE };

struct client {
    int fd;
    bool is_open; /* the handshake is over */
    bool is_member;
    size_t member_index;
    struct tk_buf rest; /* the start of something incomplete */
};

struct floor {
    int epoll_fd;
    int listen_fd;
    struct client **members;
    size_t member_count;
    size_t max_clients;
    enum spoil spoil;
    unsigned broadcasts;
    struct tk_buf held_back; /* SPOIL_SWAP */
    char read_buffer[READ_SIZE];
};

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void drop(struct floor *fl, struct client *cl)
{
    if (cl->is_member) {
        struct client *last = fl->members[--fl->member_count];
        fl->members[cl->member_index] = last;
        last->member_index = cl->member_index;
    }
    close(cl->fd);
    tk_buf_fini(&cl->rest);
    free(cl);
}

/* A reader whose buffer is full would need a queue, which the floor does not have: it ends there,
 * and the load generator reports what is missing. */
static void send_or_cut(const struct client *cl, const struct tk_buf *bytes)
{
    ssize_t n = send(cl->fd, bytes->data, bytes->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n != (ssize_t)bytes->len)
        shutdown(cl->fd, SHUT_RDWR);
}

/* Broadcasts ----------------------------------------------------------------------------------- */

static void send_spoiled(struct floor *fl, const struct client *cl, const struct tk_buf *frame)
{
    bool is_now = fl->broadcasts == SPOILED_BROADCAST;
    if (is_now && fl->spoil == SPOIL_CLOSE)
        shutdown(cl->fd, SHUT_RDWR);
    if (is_now && fl->spoil == SPOIL_SWAP)
        tk_buf_append(&fl->held_back, frame->data, frame->len);
    if (is_now && (fl->spoil == SPOIL_DROP || fl->spoil == SPOIL_SWAP))
        return;
    send_or_cut(cl, frame);
    if (is_now && fl->spoil == SPOIL_DUPLICATE)
        send_or_cut(cl, frame);
    if (fl->held_back.len > 0)
        send_or_cut(cl, &fl->held_back);
    tk_buf_clear(&fl->held_back);
}

static void broadcast(struct floor *fl, struct tk_slice topic, struct tk_slice payload)
{
    struct tk_buf text = {0}, frame = {0};
    tk_buf_append_str(&text, "[null,null,");
    tk_buf_append_slice(&text, topic);
    tk_buf_append_str(&text, ",\"shout\",");
    tk_buf_append_slice(&text, payload);
    tk_buf_append_char(&text, ']');
    ws_append_server_frame(&frame, WS_TEXT, tk_buf_slice(&text));
    fl->broadcasts++;
    for (size_t i = 0; i < fl->member_count; i++) {
        if (fl->spoil != SPOIL_NOTHING && i == SPOILED_MEMBER)
            send_spoiled(fl, fl->members[i], &frame);
        else
            send_or_cut(fl->members[i], &frame);
    }
    tk_buf_fini(&text);
    tk_buf_fini(&frame);
}

/* Frames --------------------------------------------------------------------------------------- */

/*
 * [join_ref, ref, topic, event, payload] cut at its first four commas: the load generator writes
 * neither commas nor escapes into the first four elements.
 */
static bool split(struct tk_slice text, struct tk_slice parts[5])
{
    if (text.len < 2 || text.ptr[0] != '[' || text.ptr[text.len - 1] != ']')
        return false;
    const char *at = text.ptr + 1, *end = text.ptr + text.len - 1;
    for (int i = 0; i < 4; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (!comma)
            return false;
        parts[i] = tk_slice(at, (size_t)(comma - at));
        at = comma + 1;
    }
    parts[4] = tk_slice(at, (size_t)(end - at));
    return true;
}

static void reply_ok(const struct client *cl, const struct tk_slice parts[5])
{
    struct tk_buf text = {0}, frame = {0};
    tk_buf_append_char(&text, '[');
    for (int i = 0; i < 3; i++) {
        tk_buf_append_slice(&text, parts[i]);
        tk_buf_append_char(&text, ',');
    }
    tk_buf_append_str(&text, "\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    ws_append_server_frame(&frame, WS_TEXT, tk_buf_slice(&text));
    send_or_cut(cl, &frame);
    tk_buf_fini(&text);
    tk_buf_fini(&frame);
}

static void become_member(struct floor *fl, struct client *cl)
{
    if (cl->is_member)
        return;
    tk_assert(fl->member_count < fl->max_clients);
    cl->is_member = true;
    cl->member_index = fl->member_count;
    fl->members[fl->member_count++] = cl;
}

static bool on_frame(struct floor *fl, struct client *cl, const struct ws_frame *frame)
{
    struct tk_slice parts[5];
    if (!frame->is_final || frame->opcode != WS_TEXT ||
        !split(tk_slice(frame->payload, frame->len), parts))
        return false;
    if (tk_slice_eq_str(parts[3], "\"shout\"")) {
        broadcast(fl, parts[2], parts[4]);
        return true;
    }
    if (tk_slice_eq_str(parts[3], "\"phx_join\""))
        become_member(fl, cl);
    reply_ok(cl, parts);
    return true;
}

/* Connections ---------------------------------------------------------------------------------- */

/* RFC 6455, 4.2.2: the digest of key and a fixed text shows that the server meant this request. */
static void append_accept(struct tk_buf *out, struct tk_slice key)
{
    unsigned char digest[SHA_DIGEST_LENGTH], text[64];
    struct tk_buf joined = {0};
    tk_buf_append_slice(&joined, key);
    tk_buf_append_str(&joined, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    SHA1((const unsigned char *)joined.data, joined.len, digest);
    EVP_EncodeBlock(text, digest, sizeof(digest));
    tk_buf_append_str(out, (const char *)text);
    tk_buf_fini(&joined);
}

/* The length of the request, 0 when it is incomplete, -1 when it is none that can be served. */
static ssize_t shake_hands(struct client *cl, struct tk_slice data)
{
    static const char key_header[] = "\r\nSec-WebSocket-Key: ";
    const char *end = memmem(data.ptr, data.len, "\r\n\r\n", 4);
    if (!end)
        return data.len > MAX_FRAME ? -1 : 0;
    const char *key = memmem(data.ptr, data.len, key_header, sizeof(key_header) - 1);
    if (!key || key >= end)
        return -1;
    key += sizeof(key_header) - 1;
    const char *key_end = memmem(key, (size_t)(end + 2 - key), "\r\n", 2);
    struct tk_buf answer = {0};
    tk_buf_append_str(&answer, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\nSec-WebSocket-Accept: ");
    append_accept(&answer, tk_slice(key, (size_t)(key_end - key)));
    tk_buf_append_str(&answer, "\r\n\r\n");
    send_or_cut(cl, &answer);
    tk_buf_fini(&answer);
    cl->is_open = true;
    return end + 4 - data.ptr;
}

/* How many bytes were handled, or -1 to drop the client. */
static ssize_t on_data(struct floor *fl, struct client *cl, char *data, size_t len)
{
    size_t done = 0, size = 0;
    if (!cl->is_open) {
        ssize_t head = shake_hands(cl, tk_slice(data, len));
        if (head <= 0)
            return head;
        done = (size_t)head;
    }
    for (;;) {
        struct ws_frame frame;
        enum ws_parse result = ws_parse(data + done, len - done, true, MAX_FRAME, &frame, &size);
        if (result == WS_PARSE_MORE)
            return (ssize_t)done;
        if (result == WS_PARSE_BAD || !on_frame(fl, cl, &frame))
            return -1;
        done += size;
    }
}

static void on_readable(struct floor *fl, struct client *cl)
{
    size_t kept = cl->rest.len;
    if (kept > 0)
        memcpy(fl->read_buffer, cl->rest.data, kept);
    ssize_t n = recv(cl->fd, fl->read_buffer + kept, READ_SIZE - kept, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    size_t len = kept + (size_t)(n > 0 ? n : 0);
    ssize_t done = n > 0 ? on_data(fl, cl, fl->read_buffer, len) : -1;
    if (done < 0) {
        drop(fl, cl);
        return;
    }
    tk_buf_clear(&cl->rest);
    tk_buf_append(&cl->rest, fl->read_buffer + done, len - (size_t)done);
}

static void accept_client(struct floor *fl)
{
    const int on = 1;
    int fd = accept4(fl->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct client *cl = tk_xcalloc(1, sizeof(*cl));
    cl->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = cl};
    if (epoll_ctl(fl->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        fail("epoll_ctl");
}

/* Beginning ------------------------------------------------------------------------------------ */

static void start_listening(struct floor *fl)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    fl->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fl->listen_fd < 0 || bind(fl->listen_fd, (struct sockaddr *)&address, len) ||
        listen(fl->listen_fd, BACKLOG) ||
        getsockname(fl->listen_fd, (struct sockaddr *)&address, &len))
        fail("cannot listen");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fl};
    if (epoll_ctl(fl->epoll_fd, EPOLL_CTL_ADD, fl->listen_fd, &event))
        fail("epoll_ctl");
    printf("url=ws://127.0.0.1:%u/socket\n", ntohs(address.sin_port));
    fflush(stdout);
}

/* Whoever started the floor ends it by closing this pipe, or by ending. */
static void watch_stdin(const struct floor *fl)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(fl->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event))
        fail("stdin must be a pipe or a terminal");
}

static void run(struct floor *fl)
{
    static struct epoll_event events[EVENTS_AT_ONCE];
    for (;;) {
        int count = epoll_wait(fl->epoll_fd, events, EVENTS_AT_ONCE, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                return;
            if (events[i].data.ptr == fl)
                accept_client(fl);
            else
                on_readable(fl, events[i].data.ptr);
        }
    }
}

static enum spoil parse_spoil(int argc, char **argv)
{
    static const char *const names[] = {"nothing", "drop", "duplicate", "swap", "close"};
    if (argc == 1)
        return SPOIL_NOTHING;
    for (size_t i = 0; argc == 3 && strcmp(argv[1], "--spoil") == 0 && i < TK_ARRAY_LEN(names); i++)
        if (strcmp(argv[2], names[i]) == 0)
            return (enum spoil)i;
    fputs("usage: floor [--spoil drop|duplicate|swap|close]\n", stderr);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    static struct floor all;
    struct floor *fl = &all;
    struct rlimit limit;
    fl->spoil = parse_spoil(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit))
        fail("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        fail("setrlimit");
    fl->max_clients = limit.rlim_max < MAX_CLIENTS ? limit.rlim_max : MAX_CLIENTS;
    fl->members = tk_xcalloc(fl->max_clients, sizeof(struct client *));
    fl->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (fl->epoll_fd < 0)
        fail("epoll_create1");
    watch_stdin(fl);
    start_listening(fl);
    run(fl); /* what is still open goes with the process */
    return EXIT_SUCCESS;
}
