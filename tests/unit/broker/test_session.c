/* SPDX-License-Identifier: MIT */
/* A session below the Phoenix protocol: fragments, joined writes, budget, silence, closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/channels/channels.h"
#include "tests/unit/broker/fake_client.h"

static struct fake_broker fb;
static struct fake_client a, b;

static int setup(void **state)
{
    (void)state;
    fake_broker_init(&fb, user_socket_channels);
    fake_connect(&a, &fb, PHX_V2, 1);
    fake_connect(&b, &fb, PHX_V2, 2);
    fake_send(&a, "[\"1\",\"1\",\"notifications\",\"phx_join\",{}]");
    fake_send(&b, "[\"1\",\"1\",\"notifications\",\"phx_join\",{}]");
    a.read = b.read = 1;
    a.writes = b.writes = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_client_fini(&a);
    fake_client_fini(&b);
    fake_broker_fini(&fb);
    return 0;
}

static void feed(const char *text, bool first, bool final, size_t remaining)
{
    session_on_data(a.session, &(struct session_data){.bytes = tk_slice_str(text),
                                                      .is_first = first,
                                                      .is_final = final,
                                                      .remaining = remaining});
}

static void c22_fragments_are_put_together(void **state)
{
    feed("[null,\"1\",\"pho", true, false, 0);
    feed("enix\",\"heart", false, false, 0);
    feed("beat\",{}]", false, true, 0);
    fake_turn(&a);
    fake_expect(&a, "[null,\"1\",\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    assert_null(a.session->partial);
}

static void c18_too_big_closes_with_1009_before_buffering(void **state)
{
    fb.settings.max_message_bytes = 20;
    feed("[null", true, false, 15); /* 5 + 15: just fits */
    assert_int_equal(a.close_code, 0);
    feed("0123456789", false, false, 6);
    assert_int_equal(a.close_code, 1009);
    feed("after the close", false, true, 0); /* ignored */
}

static void c30_malformed_closes_with_1011(void **state)
{
    fake_send(&a, "hello");
    assert_int_equal(a.close_code, 1011);
    assert_int_equal(a.session->channel_count, 0);
    assert_int_equal(fb.broker.stats.malformed, 1);
}

static void frames_of_one_turn_go_out_in_one_write(void **state)
{
    struct phx_payload payload = channel_object(TK_SLICE("{}"));
    struct topic *t = topic_find(&fb.broker.topics, TK_SLICE("notifications"));
    for (int i = 0; i < 10; i++)
        topic_publish(&fb.broker, t, TK_SLICE("x"), &payload, NULL);
    assert_int_equal(b.writes, 0);
    fake_turn(&b);
    assert_int_equal(b.writes, 1);
    assert_int_equal(b.sent_count - b.read, 10);
}

static void a_blocked_client_gets_everything_in_order_later(void **state)
{
    b.is_blocked = true;
    fake_send(&a, "[\"1\",\"2\",\"notifications\",\"shout\",{\"n\":1}]");
    fake_send(&a, "[\"1\",\"2\",\"notifications\",\"shout\",{\"n\":2}]");
    fake_expect_nothing(&b);
    b.is_blocked = false;
    session_on_writable(b.session);
    fake_turn(&b);
    fake_expect(&b, "[null,null,\"notifications\",\"shout\",{\"n\":1}]");
    fake_expect(&b, "[null,null,\"notifications\",\"shout\",{\"n\":2}]");
}

/* C169: dropped as a whole, never single frames; the others do not notice. */
static void c169_a_client_over_its_budget_is_closed_with_1001(void **state)
{
    fb.settings.max_queued_bytes = 100;
    b.is_blocked = true;
    for (int i = 0; i < 4; i++)
        fake_send(&a, "[\"1\",\"2\",\"notifications\",\"shout\",{\"n\":12345678}]");
    assert_int_equal(b.close_code, 1001);
    assert_int_equal(b.session->channel_count, 0);
    assert_int_equal(fb.broker.stats.too_slow, 1);
    assert_int_equal(a.sent_count - a.read, 4);
    assert_int_equal(a.close_code, 0);
}

static void a_broken_connection_is_dropped_at_the_end_of_the_turn(void **state)
{
    b.is_broken = true;
    fake_send(&a, "[\"1\",\"2\",\"notifications\",\"shout\",{}]");
    assert_null(b.session);
    assert_int_equal(fb.broker.sessions.count, 1);
}

static void advance(uint64_t ms)
{
    fb.broker.now_ms += ms;
    timer_wheel_advance(&fb.broker.wheel, fb.broker.now_ms);
    fake_turn(&a);
}

static void c19_silence_closes_with_1001(void **state)
{
    advance(59000);
    assert_int_equal(a.close_code, 0);
    session_on_life(a.session);
    advance(2000);
    assert_int_equal(a.close_code, 0);
    assert_int_equal(b.close_code, 1001);
    advance(57500);
    assert_int_equal(a.close_code, 0);
    advance(700);
    assert_int_equal(a.close_code, 1001);
}

/* C175: a background tab whose heartbeats do not come; its browser answers pings. */
static void c175_a_silent_client_is_pinged_and_stays_when_it_answers(void **state)
{
    for (int i = 0; i < 5; i++) {
        advance(44000);
        fake_expect_nothing(&a);
        advance(2000);
        fake_expect(&a, ""); /* the ping */
        session_on_life(a.session);
        assert_int_equal(a.close_code, 0);
    }
    assert_int_equal(b.close_code, 1001);
}

/* Who sends heartbeats like phoenix.js (C20) needs no pings. */
static void c20_a_client_with_heartbeats_is_not_pinged(void **state)
{
    for (int i = 0; i < 10; i++) {
        advance(30000);
        session_on_life(a.session);
        fake_expect_nothing(&a);
    }
}

/* C19, C21: a ping is life, and answered with its payload. */
static void c19_a_client_that_only_pings_stays(void **state)
{
    advance(59000);
    session_on_life(a.session);
    session_on_ping(a.session, TK_SLICE("hi"));
    fake_turn(&a);
    fake_expect(&a, ""); /* a ping of ours (C175) */
    fake_expect(&a, "hi");
    advance(59000);
    assert_int_equal(a.close_code, 0);
    assert_int_equal(b.close_code, 1001);
    advance(2000);
    assert_int_equal(a.close_code, 1001);
}

static void c22_text_that_is_not_utf8_closes_with_1007(void **state)
{
    fake_send(&a, "[null,\"1\",\"phoenix\",\"heartbeat\",{\"a\":\"\xff\"}]");
    assert_int_equal(a.close_code, 1007);
}

static void a_client_that_ignores_our_close_is_dropped(void **state)
{
    session_close(a.session, CLOSE_GOING_AWAY, "x");
    assert_int_equal(a.close_code, 1001);
    advance(2900);
    assert_non_null(a.session);
    advance(300);
    assert_null(a.session);
}

static void c23_answers_go_out_before_the_clients_close_is_answered(void **state)
{
    session_on_data(a.session, &(struct session_data){
                                   .bytes = TK_SLICE("[null,\"1\",\"phoenix\",\"heartbeat\",{}]"),
                                   .is_first = true,
                                   .is_final = true});
    session_on_peer_close(a.session, 4001);
    fake_expect(&a, "[null,\"1\",\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    assert_int_equal(a.session->channel_count, 0);
    assert_int_equal(a.close_code, 4001);
}

static void closing_twice_and_sending_after_it_do_nothing(void **state)
{
    struct frame *frame = frame_new(WS_TEXT, TK_SLICE("{}"));
    session_close(a.session, CLOSE_SERVICE_RESTART, NULL);
    session_close(a.session, CLOSE_GOING_AWAY, NULL);
    session_close_later(a.session, CLOSE_GOING_AWAY);
    session_send(a.session, frame);
    frame_unref(frame);
    fake_turn(&a);
    assert_int_equal(a.close_code, 1012);
    fake_expect_nothing(&a);
}

static const char heartbeat[] = "[null,\"1\",\"phoenix\",\"heartbeat\",{}]";

/* C185, C83: over its rate of messages a client is closed with 1008, alone. */
static void c185_messages_per_second(void **state)
{
    fb.settings.messages_per_s = 10;
    fb.broker.now_ms += 1000; /* the joins in setup are forgotten */
    for (int i = 0; i < 100; i++)
        fake_send(&a, heartbeat);
    assert_int_equal(a.close_code, 0);
    fb.broker.now_ms += 200;
    fake_send(&a, heartbeat);
    fake_send(&a, heartbeat);
    assert_int_equal(a.close_code, 0);
    fake_send(&a, heartbeat);
    assert_int_equal(a.close_code, 1008);
    assert_int_equal(fb.broker.stats.too_many_messages, 1);
    assert_int_equal(a.session->channel_count, 0);
    fake_send(&b, heartbeat);
    assert_int_equal(b.close_code, 0);
}

/* C185: a ping costs an answer, too. */
static void c185_pings_count_as_messages(void **state)
{
    fb.settings.messages_per_s = 1;
    fb.broker.now_ms += 1000;
    for (int i = 0; i < 10; i++)
        session_on_ping(a.session, TK_SLICE("x"));
    fake_turn(&a);
    assert_int_equal(a.close_code, 0);
    session_on_ping(a.session, TK_SLICE("x"));
    assert_int_equal(a.close_code, 1008);
    size_t sent = a.sent_count;
    session_on_ping(a.session, TK_SLICE("x"));
    fake_turn(&a);
    assert_int_equal(a.sent_count, sent);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(c22_fragments_are_put_together),
        TEST(c18_too_big_closes_with_1009_before_buffering),
        TEST(c30_malformed_closes_with_1011),
        TEST(frames_of_one_turn_go_out_in_one_write),
        TEST(a_blocked_client_gets_everything_in_order_later),
        TEST(c169_a_client_over_its_budget_is_closed_with_1001),
        TEST(a_broken_connection_is_dropped_at_the_end_of_the_turn),
        TEST(c19_silence_closes_with_1001),
        TEST(c175_a_silent_client_is_pinged_and_stays_when_it_answers),
        TEST(c20_a_client_with_heartbeats_is_not_pinged),
        TEST(c19_a_client_that_only_pings_stays),
        TEST(c22_text_that_is_not_utf8_closes_with_1007),
        TEST(a_client_that_ignores_our_close_is_dropped),
        TEST(c23_answers_go_out_before_the_clients_close_is_answered),
        TEST(c185_messages_per_second),
        TEST(c185_pings_count_as_messages),
        TEST(closing_twice_and_sending_after_it_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
