/* SPDX-License-Identifier: MIT */
/* What carries the bytes of websocket connections, each kind of it on real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/channels/channels.h"
#include "broker/websocket/ws_transport.h"
#include "tests/unit/broker/fake_client.h"
#include "tests/unit/broker/loop_wait.h"

#define HEARTBEAT  "[null,\"1\",\"phoenix\",\"heartbeat\",{}]"
#define REPLY      "[null,\"1\",\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]"
#define LARGE      ((size_t)60000)
#define MANY       10 /* of the large ones: more than a socket takes */
#define LARGE_HEAD 4

static struct fake_broker fb;
static struct ws_transport *transport;
static int peer; /* the client's end */
static struct session *session;
static struct tk_buf received; /* by the client, from behind the answer to its request */

static void connect_client(struct tk_slice early)
{
    char head[512];
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    peer = fds[1];
    const struct upgrade_request request = {
        .vsn = PHX_V2,
        .user = fake_user(1),
        .key = TK_SLICE("dGhlIHNhbXBsZSBub25jZQ=="), /* RFC 6455, 1.3 */
    };
    assert_true(ws_transport_adopt(transport, fds[0], &request, "somebody", early));
    session = fb.broker.sessions.first;
    ssize_t n = recv(peer, head, sizeof(head) - 1, 0);
    assert_true(n > 0);
    head[n] = '\0';
    assert_non_null(strstr(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    const char *end = strstr(head, "\r\n\r\n");
    assert_non_null(end);
    tk_buf_append_str(&received, end + 4);
}

static int setup(void **state)
{
    fake_broker_init(&fb, user_socket_channels);
    free(fb.settings.transport);
    fb.settings.transport = tk_xstrdup(*state);
    fb.settings.max_queued_bytes = 10 << 20;
    transport = ws_transport_open(&fb.broker);
    assert_non_null(transport);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (fb.broker.sessions.first)
        session->ops->kill(session->transport);
    broker_end_turn(&fb.broker);
    ws_transport_close(transport);
    fake_broker_fini(&fb);
    tk_buf_fini(&received);
    if (peer >= 0)
        close(peer);
    return 0;
}

/* As a client sends it: masked, with a mask that changes nothing. */
static void append_frame(struct tk_buf *out, unsigned char opcode, const char *payload)
{
    size_t len = strlen(payload);
    assert_true(len < 126);
    const unsigned char head[] = {0x80 | opcode, (unsigned char)(0x80 | len), 0, 0, 0, 0};
    tk_buf_append(out, head, sizeof(head));
    tk_buf_append_str(out, payload);
}

static void client_sends(unsigned char opcode, const char *payload)
{
    struct tk_buf out = {0};
    append_frame(&out, opcode, payload);
    assert_int_equal(send(peer, out.data, out.len, 0), out.len);
    tk_buf_fini(&out);
}

static bool has_received(size_t len)
{
    static char bytes[LARGE];
    broker_end_turn(&fb.broker);
    ssize_t n = recv(peer, bytes, sizeof(bytes), 0);
    if (n > 0)
        tk_buf_append(&received, bytes, (size_t)n);
    return received.len >= len;
}

static bool sees_end(void)
{
    char byte;
    broker_end_turn(&fb.broker);
    return recv(peer, &byte, 1, 0) == 0;
}

static bool is_session_gone(void)
{
    broker_end_turn(&fb.broker);
    return fb.broker.sessions.count == 0;
}

static void assert_reply_received(void)
{
    LOOP_WAIT(&fb.loop, has_received(2 + strlen(REPLY)));
    assert_int_equal(received.len, 2 + strlen(REPLY));
    assert_memory_equal(received.data + 2, REPLY, strlen(REPLY));
}

/* Frames of one letter each, and the client reads none of them. */
static void fill_socket(void)
{
    static char payload[LARGE];
    for (int i = 0; i < MANY; i++) {
        memset(payload, 'a' + i, LARGE);
        session_send_take(session, frame_new(WS_TEXT, tk_slice(payload, LARGE)));
        broker_end_turn(&fb.broker);
    }
    assert_true(session->ops->is_blocked(session->transport));
}

static void assert_filling_received(size_t frames)
{
    for (size_t i = 0; i < frames; i++) {
        const char *frame = received.data + i * (LARGE_HEAD + LARGE);
        for (size_t k = 0; k < LARGE; k++)
            assert_int_equal(frame[LARGE_HEAD + k], 'a' + (int)i);
    }
}

static void a_message_is_answered(void **state)
{
    connect_client(TK_SLICE(""));
    client_sends(WS_TEXT, HEARTBEAT);
    assert_reply_received();
}

static void c9_what_came_with_the_request_is_answered(void **state)
{
    struct tk_buf early = {0};
    append_frame(&early, WS_TEXT, HEARTBEAT);
    connect_client(tk_buf_slice(&early));
    tk_buf_fini(&early);
    assert_reply_received();
}

static void c9_a_close_that_came_with_the_request_is_answered(void **state)
{
    struct tk_buf early = {0};
    append_frame(&early, WS_CLOSE, "");
    connect_client(tk_buf_slice(&early));
    tk_buf_fini(&early);
    LOOP_WAIT(&fb.loop, has_received(4));
    assert_memory_equal(received.data, "\x88\x02\x03\xe8", 4); /* 1000 */
    LOOP_WAIT(&fb.loop, is_session_gone());
}

static void what_the_kernel_does_not_take_follows_in_order(void **state)
{
    connect_client(TK_SLICE(""));
    fill_socket();
    LOOP_WAIT(&fb.loop, has_received(MANY * (LARGE_HEAD + LARGE)));
    assert_filling_received(MANY);
    assert_false(session->ops->is_blocked(session->transport));

    client_sends(WS_TEXT, HEARTBEAT); /* and it goes on as if nothing had been */
    tk_buf_clear(&received);
    assert_reply_received();
}

static void more_than_one_read_is_handled_to_the_end(void **state)
{
    enum { MESSAGES = 2000 };
    struct tk_buf out = {0};
    fb.settings.messages_per_s = 0;
    connect_client(TK_SLICE(""));
    for (int i = 0; i < MESSAGES; i++)
        append_frame(&out, WS_TEXT, HEARTBEAT);
    assert_int_equal(send(peer, out.data, out.len, 0), out.len);
    tk_buf_fini(&out);
    LOOP_WAIT(&fb.loop, has_received(MESSAGES * (2 + strlen(REPLY))));
}

static void a_client_that_speaks_and_goes_is_heard_and_noticed(void **state)
{
    connect_client(TK_SLICE(""));
    uint64_t before = fb.broker.stats.messages_in;
    client_sends(WS_TEXT, HEARTBEAT);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    LOOP_WAIT(&fb.loop, is_session_gone());
    assert_int_equal(fb.broker.stats.messages_in, before + 1);
}

/* With lws it is not, until it reads. */
static void a_client_that_does_not_read_is_still_heard(void **state)
{
    connect_client(TK_SLICE(""));
    fill_socket();
    uint64_t before = fb.broker.stats.messages_in;
    client_sends(WS_TEXT, HEARTBEAT);
    LOOP_WAIT(&fb.loop, fb.broker.stats.messages_in == before + 1);
}

/* C169: what waited in our queue is dropped, what was begun is finished; then the close frame. */
static void a_close_frame_waits_behind_what_was_begun(void **state)
{
    connect_client(TK_SLICE(""));
    fill_socket();
    session_close(session, CLOSE_GOING_AWAY, NULL);
    LOOP_WAIT(&fb.loop,
              has_received(8) && !memcmp(received.data + received.len - 4, "\x88\x02\x03\xe9", 4));
    assert_int_equal((received.len - 4) % (LARGE_HEAD + LARGE), 0);
    assert_filling_received((received.len - 4) / (LARGE_HEAD + LARGE));
}

static void c22_the_stream_ends_behind_the_close_frame_of_a_violation(void **state)
{
    connect_client(TK_SLICE(""));
    client_sends(3, "no such opcode");
    LOOP_WAIT(&fb.loop, has_received(4));
    assert_int_equal((unsigned char)received.data[0], 0x88);
    LOOP_WAIT(&fb.loop, sees_end());
    assert_int_equal(fb.broker.sessions.count,
                     1); /* until the client ends, too, or its time is up */
    close(peer);
    peer = -1;
    LOOP_WAIT(&fb.loop, is_session_gone());
}

static void a_killed_connection_is_gone_although_bytes_wait(void **state)
{
    connect_client(TK_SLICE(""));
    fill_socket();
    session->ops->kill(session->transport);
    assert_int_equal(fb.broker.sessions.count, 0);
    LOOP_WAIT(&fb.loop, (has_received(0), sees_end()));
}

static void a_client_that_went_is_noticed(void **state)
{
    connect_client(TK_SLICE(""));
    close(peer);
    peer = -1;
    LOOP_WAIT(&fb.loop, is_session_gone());
}

static void a_client_that_went_while_bytes_wait_is_noticed(void **state)
{
    connect_client(TK_SLICE(""));
    fill_socket();
    close(peer);
    peer = -1;
    LOOP_WAIT(&fb.loop, is_session_gone());
}

static void only_what_exists_can_be_chosen(void **state)
{
    assert_true(ws_transport_exists("epoll"));
    assert_true(ws_transport_exists("lws"));
    assert_false(ws_transport_exists(""));
    assert_false(ws_transport_exists("poll"));
}

static char epoll[] = "epoll", lws[] = "lws";

#define TEST(f, kind) cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, kind)
#define BOTH(f)       TEST(f, epoll), TEST(f, lws)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_message_is_answered),
        BOTH(c9_what_came_with_the_request_is_answered),
        BOTH(c9_a_close_that_came_with_the_request_is_answered),
        BOTH(what_the_kernel_does_not_take_follows_in_order),
        BOTH(more_than_one_read_is_handled_to_the_end),
        BOTH(a_client_that_speaks_and_goes_is_heard_and_noticed),
        TEST(a_client_that_does_not_read_is_still_heard, epoll),
        BOTH(a_close_frame_waits_behind_what_was_begun),
        BOTH(c22_the_stream_ends_behind_the_close_frame_of_a_violation),
        BOTH(a_killed_connection_is_gone_although_bytes_wait),
        BOTH(a_client_that_went_is_noticed),
        BOTH(a_client_that_went_while_bytes_wait_is_noticed),
        cmocka_unit_test(only_what_exists_can_be_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
