/* SPDX-License-Identifier: MIT */
/*
 * What a Redis that misbehaves can do to the link: be ignored, or lose the connection (C174). The
 * peer here greets like Redis, then says what the test gives it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/redis/redis_link.h"
#include "common/tk_log.h"
#include "tests/unit/broker/fake_peer.h"
#include "tests/unit/broker/loop_wait.h"

#define PROBE     "$17\r\ntako:probe:test/0\r\n"
#define GOOD_PUSH "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"

static struct {
    uv_loop_t loop;
    uv_prepare_t prepare;
    struct fake_peer peer;
    struct tk_redis_address address;
    struct redis_link *link;
    int ups, downs, messages, subscribed;
    char last[64];
} t;

enum { UNKNOWN, COMMANDS, MESSAGES };

/* Answers PING and the subscription to the probe channel; everything else is left unanswered. */
static void greet(struct fake_peer_client *c, void *arg)
{
    static const char pong[] = "+PONG\r\n";
    static const char subscribed[] = "*3\r\n$9\r\nsubscribe\r\n" PROBE ":1\r\n";
    const char *text = tk_buf_str(&c->in);
    if (c->state == UNKNOWN && strstr(text, "PING")) {
        c->state = COMMANDS;
        fake_peer_say(c, pong, strlen(pong));
    } else if (c->state == UNKNOWN && strstr(text, "SUBSCRIBE")) {
        c->state = MESSAGES;
        fake_peer_say(c, subscribed, strlen(subscribed));
    }
    tk_buf_clear(&c->in);
}

static struct fake_peer_client *client(int state)
{
    struct fake_peer_client *c = t.peer.clients;
    while (c && (c->state != state || c->is_gone))
        c = c->next;
    assert_non_null(c);
    return c;
}

static void on_up(void *arg)
{
    t.ups++;
}

static void on_down(void *arg)
{
    t.downs++;
}

static void on_message(void *arg, struct tk_slice channel, struct tk_slice message)
{
    t.messages++;
    snprintf(t.last, sizeof(t.last), "%.*s %.*s", (int)channel.len, channel.ptr, (int)message.len,
             message.ptr);
}

static void on_subscribed(void *arg, struct tk_slice channel)
{
    t.subscribed++;
}

static void on_prepare(uv_prepare_t *prepare)
{
    redis_link_flush(t.link);
}

static int setup(void **state)
{
    static const struct redis_link_events events = {on_up, on_down, on_message, on_subscribed};
    memset(&t, 0, sizeof(t));
    uv_loop_init(&t.loop);
    fake_peer_start(&t.peer, &t.loop, "redis.sock", greet, NULL);
    t.address.unix_path = t.peer.path;
    const struct redis_link_options options = {
        .address = &t.address,
        .node_id = "test/0",
        .connect_timeout_ms = 1000,
        .probe_interval_ms = 1000,
        .probe_timeout_ms = 30000,
        .max_pending_bytes = 1 << 20,
        .max_reply_bytes = 100000,
    };
    t.link = redis_link_open(&t.loop, &options, &events, NULL);
    uv_prepare_init(&t.loop, &t.prepare);
    uv_prepare_start(&t.prepare, on_prepare);
    LOOP_WAIT(&t.loop, t.ups == 1);
    return 0;
}

static int teardown(void **state)
{
    uv_prepare_stop(&t.prepare);
    redis_link_close(t.link);
    fake_peer_stop(&t.peer);
    loop_end(&t.loop);
    return 0;
}

static void push(const char *bytes)
{
    fake_peer_say(client(MESSAGES), bytes, strlen(bytes));
}

/* Whatever it was: the link is up, and the next good message comes through. */
static void expect_unharmed(void)
{
    int before = t.messages;
    push(GOOD_PUSH);
    LOOP_WAIT(&t.loop, t.messages == before + 1 || t.downs > 0);
    assert_int_equal(t.downs, 0);
    assert_string_equal(t.last, "c hi");
}

static void odd_pushes_are_passed_over(void **state)
{
    static const char *const pushes[] = {
        "+OK\r\n",
        ":42\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*1\r\n*1\r\n*1\r\n:1\r\n",
        "*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n",
        "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\nx\r\n",
        "*3\r\n:1\r\n:2\r\n:3\r\n",
        "*3\r\n$-1\r\n$-1\r\n$-1\r\n",
        "*3\r\n$7\r\nmessage\r\n:7\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n:7\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n*1\r\n$1\r\nx\r\n",
        "*3\r\n+message\r\n+c\r\n+x\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$13\r\nnever-asked-0\r\n:1\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n" PROBE ":0\r\n",
        "*3\r\n$9\r\nsubscribe\r\n" PROBE ":1\r\n",
    };
    for (size_t i = 0; i < TK_ARRAY_LEN(pushes); i++) {
        push(pushes[i]);
        expect_unharmed();
    }
    assert_int_equal(t.messages, TK_ARRAY_LEN(pushes));
    assert_int_equal(t.subscribed, 0);
}

static void expect_reconnect(void)
{
    LOOP_WAIT(&t.loop, t.downs == 1);
    LOOP_WAIT(&t.loop, t.ups == 2);
    t.downs = 0;
    expect_unharmed();
    t.ups = 1;
}

static void broken_protocol_loses_the_connection(void **state)
{
    static const char *const pushes[] = {
        "-NOPERM this user has no permissions to access one of the channels\r\n",
        "?\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "*99999999\r\n",
        "*2147483647\r\n",
        "*99999999999999999999\r\n",
        "*-2\r\n",
        "$-2\r\n",
        "$99999999999999999999\r\n",
        ":notanumber\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    };
    for (size_t i = 0; i < TK_ARRAY_LEN(pushes); i++) {
        push(pushes[i]);
        expect_reconnect();
        teardown(state); /* a new link has its short waits back */
        setup(state);
    }
}

static void replies_have_a_limit(void **state)
{
    static char flood[200000];
    memset(flood, 'x', sizeof(flood));
    push("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$900000000\r\n");
    fake_peer_say(client(MESSAGES), flood, sizeof(flood));
    expect_reconnect();
    memset(flood, '1', sizeof(flood)); /* a line that never ends */
    fake_peer_say(client(MESSAGES), ":", 1);
    fake_peer_say(client(MESSAGES), flood, sizeof(flood));
    expect_reconnect();
}

/* The limit is for one reply: many that fit may come together. */
static void many_replies_may_exceed_the_limit_together(void **state)
{
    for (int i = 0; i < 10000; i++)
        push(GOOD_PUSH);
    LOOP_WAIT(&t.loop, t.messages == 10000);
    assert_int_equal(t.downs, 0);
}

static void bytes_may_come_one_at_a_time(void **state)
{
    for (const char *p = GOOD_PUSH; *p; p++) {
        assert_int_equal(t.messages, 0);
        fake_peer_say(client(MESSAGES), p, 1);
        uv_run(&t.loop, UV_RUN_NOWAIT);
        uv_run(&t.loop, UV_RUN_NOWAIT);
    }
    LOOP_WAIT(&t.loop, t.messages == 1);
    assert_string_equal(t.last, "c hi");
}

static void half_a_message_is_no_message(void **state)
{
    push("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nh");
    loop_step(&t.loop);
    fake_peer_hang_up(client(MESSAGES));
    LOOP_WAIT(&t.loop, t.downs == 1);
    assert_int_equal(t.messages, 0);
}

static void a_reply_to_no_command_loses_the_connection(void **state)
{
    fake_peer_say(client(COMMANDS), ":1\r\n", 4);
    expect_reconnect();
}

static void either_connection_takes_the_other_with_it(void **state)
{
    int accepted = t.peer.accepted;
    fake_peer_hang_up(client(COMMANDS));
    expect_reconnect();
    assert_int_equal(t.peer.accepted, accepted + 2);
    fake_peer_hang_up(client(MESSAGES));
    expect_reconnect();
    assert_int_equal(t.peer.accepted, accepted + 4);
}

/* Redis answers commands with -LOADING while it reads its files back. */
static void an_error_as_greeting_is_not_up(void **state)
{
    static const char loading[] = "-LOADING Redis is loading the dataset in memory\r\n";
    fake_peer_hang_up(client(COMMANDS));
    LOOP_WAIT(&t.loop, t.downs == 1);
    int accepted = t.peer.accepted;
    LOOP_WAIT(&t.loop, t.peer.accepted == accepted + 2);
    for (struct fake_peer_client *c = t.peer.clients; c; c = c->next)
        fake_peer_say(c, loading, strlen(loading));
    LOOP_WAIT(&t.loop, t.peer.clients->is_gone);
    assert_int_equal(t.ups, 1);
    LOOP_WAIT(&t.loop, t.ups == 2); /* it tries again */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(odd_pushes_are_passed_over),
        TEST(broken_protocol_loses_the_connection),
        TEST(replies_have_a_limit),
        TEST(many_replies_may_exceed_the_limit_together),
        TEST(bytes_may_come_one_at_a_time),
        TEST(half_a_message_is_no_message),
        TEST(a_reply_to_no_command_loses_the_connection),
        TEST(either_connection_takes_the_other_with_it),
        TEST(an_error_as_greeting_is_not_up),
    };
    tk_log_init(TK_LOG_ERROR, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
