/* SPDX-License-Identifier: MIT */
/* The application's channel: C87-C98 with the error replies that design.md puts in place of
 * crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker/channels/channels.h"
#include "tests/unit/broker/fake_client.h"

static struct fake_broker fb;
static struct fake_client a, b, v1;

static int setup(void **state)
{
    (void)state;
    fake_broker_init(&fb, user_socket_channels);
    fake_connect(&a, &fb, PHX_V2, 1);
    fake_connect(&b, &fb, PHX_V2, 2);
    fake_connect(&v1, &fb, PHX_V1, 3);
    fake_send(&a, "[\"1\",\"1\",\"notifications\",\"phx_join\",{}]");
    fake_send(&b, "[\"7\",\"7\",\"notifications\",\"phx_join\",null]");
    fake_send(&v1,
              "{\"topic\":\"notifications\",\"event\":\"phx_join\",\"payload\":[],\"ref\":\"1\"}");
    a.read = b.read = v1.read = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_client_fini(&a);
    fake_client_fini(&b);
    fake_client_fini(&v1);
    fake_broker_fini(&fb);
    return 0;
}

static void expect_all(const char *v2, const char *v1_text)
{
    fake_expect(&a, v2);
    fake_expect(&b, v2);
    fake_expect(&v1, v1_text);
}

static void c88_collected(void **state)
{
    fake_send(&a,
              "[\"1\",\"2\",\"notifications\",\"collected\",{\"nickname\":\"Cruel_KFP\",\"x\":1}]");
    expect_all(
        "[null,null,\"notifications\",\"collected-broadcast\",{\"nickname\":\"Cruel_KFP\"}]",
        "{\"event\":\"collected-broadcast\",\"payload\":{\"nickname\":\"Cruel_KFP\"},\"ref\":null,"
        "\"topic\":\"notifications\"}");
    fake_expect_nothing(&a); /* no reply */
}

static void c87_nickname_may_be_any_json(void **state)
{
    fake_send(&a, "[\"1\",\"2\",\"notifications\",\"collected\",{\"nickname\":null}]");
    fake_expect(&b, "[null,null,\"notifications\",\"collected-broadcast\",{\"nickname\":null}]");
    fake_send(
        &a, "[\"1\",\"2\",\"notifications\",\"collected\",{\"nickname\":[12345678901234567890]}]");
    fake_expect(&b, "[null,null,\"notifications\",\"collected-broadcast\",{\"nickname\":"
                    "[12345678901234567890]}]"); /* C29 */
}

static void c89_rally_completed(void **state)
{
    fake_send(
        &v1, "{\"topic\":\"notifications\",\"event\":\"rally-completed\",\"payload\":{\"nickname\":"
             "\"a\"},\"ref\":\"3\"}");
    expect_all(
        "[null,null,\"notifications\",\"rally-completed\",{\"nickname\":\"a\"}]",
        "{\"event\":\"rally-completed\",\"payload\":{\"nickname\":\"a\"},\"ref\":null,\"topic\":"
        "\"notifications\"}");
}

static void c90_ping_returns_the_payload(void **state)
{
    fake_send(&a, "[\"1\",\"5\",\"notifications\",\"ping\",[1,2]]");
    fake_expect(
        &a, "[\"1\",\"5\",\"notifications\",\"phx_reply\",{\"response\":[1,2],\"status\":\"ok\"}]");
    fake_send(&a, "[\"1\",\"6\",\"notifications\",\"ping\",null]");
    fake_expect(
        &a, "[\"1\",\"6\",\"notifications\",\"phx_reply\",{\"response\":null,\"status\":\"ok\"}]");
}

static void c91_shout(void **state)
{
    fake_send(&a, "[\"1\",\"2\",\"notifications\",\"shout\", {\"hello\" : \"all\"} ]");
    expect_all("[null,null,\"notifications\",\"shout\",{\"hello\" : \"all\"}]",
               "{\"event\":\"shout\",\"payload\":{\"hello\" : \"all\"},\"ref\":null,\"topic\":"
               "\"notifications\"}");
}

/* C34, C91: a binary shout reaches V2 members as kind 2 and is not sent to V1 ones. */
static void c91_binary_shout(void **state)
{
    static const char push[] = "\x00\x01\x01\x0d\x05"
                               "12notificationsshout\x01\x02";
    session_on_data(a.session, &(struct session_data){.bytes = tk_slice(push, sizeof(push) - 1),
                                                      .is_first = true,
                                                      .is_final = true,
                                                      .is_binary = true});
    fake_turn(&a);
    static const char expected[] = "\x02\x0d\x05notificationsshout\x01\x02";
    assert_int_equal(b.sent_lens[b.read], sizeof(expected) - 1);
    assert_memory_equal(b.sent[b.read], expected, sizeof(expected) - 1);
    fake_expect_nothing(&v1);
    assert_int_equal(fb.broker.stats.no_encoding, 1);
}

static void c92_pong_does_nothing(void **state)
{
    fake_send(&a, "[\"1\",\"7\",\"notifications\",\"pong\",{\"body\":\"pong\"}]");
    fake_expect_nothing(&a);
    fake_expect_nothing(&b);
}

static void c93_unusable_messages_get_an_error_reply(void **state)
{
    struct {
        const char *event, *payload, *reason;
    } cases[] = {
        {"collected", "{}", "invalid payload"},      {"collected", "[]", "invalid payload"},
        {"rally-completed", "7", "invalid payload"}, {"shout", "[1]", "invalid payload"},
        {"shout", "null", "invalid payload"},        {"msg", "{}", "unknown event"},
        {"message", "{}", "unknown event"},          {"", "{}", "unknown event"},
    };
    for (size_t i = 0; i < TK_ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "[\"1\",\"2\",\"notifications\",\"%s\",%s]", cases[i].event,
                 cases[i].payload);
        fake_send(&a, text);
        snprintf(text, sizeof(text),
                 "[\"1\",\"2\",\"notifications\",\"phx_reply\",{\"response\":{\"reason\":\"%s\"},"
                 "\"status\":\"error\"}]",
                 cases[i].reason);
        fake_expect(&a, text);
    }
    fake_expect_nothing(&b);
    assert_int_equal(a.session->channel_count, 1); /* the channel lives on */
}

static void publish_msg(const char *payload)
{
    char text[512];
    snprintf(text, sizeof(text), "[null,null,\"notifications\",\"msg\",%s]", payload);
    pubsub_on_message(&fb.broker, TK_SLICE("tako:topic:notifications"), tk_slice_str(text));
    fake_turn(&a);
}

static void c94_msg_reaches_all_connections_of_one_user(void **state)
{
    struct fake_client second;
    fake_connect(&second, &fb, PHX_V2, 1);
    fake_send(&second, "[\"9\",\"9\",\"notifications\",\"phx_join\",{}]");
    second.read = 1;
    publish_msg("{\"message\":\"Testiiing\",\"user_id\":\"00000000-0000-4000-8000-000000000001\"}");
    fake_expect(&a, "[\"1\",null,\"notifications\",\"msg\",{\"message\":\"Testiiing\",\"user_id\":"
                    "\"00000000-0000-4000-8000-000000000001\"}]");
    fake_expect(&second,
                "[\"9\",null,\"notifications\",\"msg\",{\"message\":\"Testiiing\",\"user_id\":"
                "\"00000000-0000-4000-8000-000000000001\"}]");
    fake_expect_nothing(&b);
    fake_expect_nothing(&v1);
    fake_client_fini(&second);
}

static void c95_msg_without_a_user_is_for_nobody(void **state)
{
    publish_msg("{\"message\":\"x\"}");
    publish_msg("{\"message\":\"x\",\"user_id\":5}");
    publish_msg("{\"message\":\"x\",\"user_id\":\"00000000\"}");
    publish_msg("{\"message\":\"x\",\"user_id\":\"00000000-0000-4000-8000-000000000099\"}");
    fake_expect_nothing(&a);
    fake_expect_nothing(&b);
    assert_int_equal(a.session->channel_count, 1);
}

static void c96_ping_from_the_server_is_an_ordinary_broadcast(void **state)
{
    pubsub_on_message(&fb.broker, TK_SLICE("tako:topic:notifications"),
                      TK_SLICE("[null,null,\"notifications\",\"ping\",{\"msg\":\"ping\"}]"));
    fake_turn(&a);
    expect_all("[null,null,\"notifications\",\"ping\",{\"msg\":\"ping\"}]",
               "{\"event\":\"ping\",\"payload\":{\"msg\":\"ping\"},\"ref\":null,\"topic\":"
               "\"notifications\"}");
}

/* C174: what is not a message is counted and dropped; subscribers never notice. */
static void c174_malformed_link_messages(void **state)
{
    static const char *const bad[] = {
        "",
        "hello",
        "{}",
        "[]",
        "[null,null,\"notifications\",\"x\"]",
        "[null,null,\"room:1\",\"x\",{}]",
        "[null,null,\"notifications\",\"\",{}]",
        "[null,null,\"notifications\",\"x\",[1]]",
        "[null,null,\"notifications\",\"x\",null]",
        "[null,null,\"notifications\",\"x\",{}",
    };
    for (size_t i = 0; i < TK_ARRAY_LEN(bad); i++) {
        pubsub_on_message(&fb.broker, TK_SLICE("tako:topic:notifications"), tk_slice_str(bad[i]));
        assert_int_equal(fb.broker.stats.link_malformed, i + 1);
    }
    pubsub_on_message(&fb.broker, TK_SLICE("tako:users"), TK_SLICE("[]"));
    pubsub_on_message(&fb.broker, TK_SLICE("tako:topic:nobody"), TK_SLICE("hello"));
    pubsub_on_message(&fb.broker, TK_SLICE("something else"), TK_SLICE("hello"));
    fake_turn(&a);
    fake_expect_nothing(&a);
    fake_expect_nothing(&b);
    fake_expect_nothing(&v1);
}

static void own_publishes_are_not_delivered_twice(void **state)
{
    char text[256];
    node_init(&fb.broker.node, "test", 0);
    snprintf(text, sizeof(text), "[\"%s\",\"1\",\"notifications\",\"shout\",{}]",
             fb.broker.node.id);
    pubsub_on_message(&fb.broker, TK_SLICE("tako:topic:notifications"), tk_slice_str(text));
    fake_turn(&a);
    fake_expect_nothing(&a);
}

static void c80_disconnect_closes_all_connections_of_the_user(void **state)
{
    pubsub_on_message(
        &fb.broker, TK_SLICE("tako:users"),
        TK_SLICE("{\"event\":\"disconnect\",\"id\":\"00000000-0000-4000-8000-000000000001\"}"));
    fake_turn(&a);
    assert_int_equal(a.close_code, 1001);
    fake_expect_nothing(&a); /* no frames of the channels precede it */
    assert_int_equal(b.close_code, 0);
}

static void a_new_nickname_reaches_the_connected_user(void **state)
{
    pubsub_on_message(
        &fb.broker, TK_SLICE("tako:users"),
        TK_SLICE("{\"event\":\"updated\",\"id\":\"00000000-0000-4000-8000-000000000001\","
                 "\"nickname\":\"Neu\",\"stamps_collected\":1}"));
    assert_string_equal(a.session->user->nickname, "Neu");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(c88_collected),
        TEST(c87_nickname_may_be_any_json),
        TEST(c89_rally_completed),
        TEST(c90_ping_returns_the_payload),
        TEST(c91_shout),
        TEST(c91_binary_shout),
        TEST(c92_pong_does_nothing),
        TEST(c93_unusable_messages_get_an_error_reply),
        TEST(c94_msg_reaches_all_connections_of_one_user),
        TEST(c95_msg_without_a_user_is_for_nobody),
        TEST(c96_ping_from_the_server_is_an_ordinary_broadcast),
        TEST(c174_malformed_link_messages),
        TEST(own_publishes_are_not_delivered_twice),
        TEST(c80_disconnect_closes_all_connections_of_the_user),
        TEST(a_new_nickname_reaches_the_connected_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
