/* SPDX-License-Identifier: MIT */
/* The lifecycle of a channel as frames on the wire: C41-C63, on both serializers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/channels/channels.h"
#include "tests/unit/broker/fake_client.h"

/* Channels that do what the shipped ones never do: refuse, fail, answer with their own words. */
static enum tk_err odd_join(struct channel *ch, const struct phx_payload *params,
                            struct tk_buf *response)
{
    if (tk_slice_eq_str(channel_topic(ch), "odd:private"))
        return TK_EDENIED;
    if (tk_slice_eq_str(channel_topic(ch), "odd:reason")) {
        tk_buf_append_str(response, "{\"reason\":\"closed\"}");
        return TK_EDENIED;
    }
    if (tk_slice_eq_str(channel_topic(ch), "odd:broken"))
        return TK_EIO;
    tk_buf_append_slice(response, params->bytes);
    return TK_OK;
}

static enum tk_err odd_handle_in(struct channel *ch, const struct phx_msg *msg)
{
    int *count = channel_state(ch);
    if (tk_slice_eq_str(msg->event, "crash"))
        return TK_EIO;
    if (tk_slice_eq_str(msg->event, "count")) {
        struct tk_buf json = {0};
        tk_buf_appendf(&json, "%d", ++*count);
        struct phx_payload payload = {.type = TK_JSON_NUMBER, .bytes = tk_buf_slice(&json)};
        channel_reply(ch, msg, TK_SLICE("error"), &payload);
        tk_buf_fini(&json);
        return TK_OK;
    }
    if (tk_slice_eq_str(msg->event, "others")) {
        channel_broadcast_from(ch, TK_SLICE("others"), &msg->payload);
        return TK_OK;
    }
    return TK_ENOTFOUND;
}

static enum tk_err odd_handle_out(struct channel *ch, struct tk_slice event,
                                  const struct phx_payload *payload)
{
    if (tk_slice_eq_str(event, "poison"))
        return TK_EIO;
    channel_push(ch, event, payload);
    return TK_OK;
}

static const struct channel_module odd_channel = {
    .topic = "odd:*",
    .state_size = sizeof(int),
    .intercepts = (const char *const[]){"poison", "secret", NULL},
    .join = odd_join,
    .handle_in = odd_handle_in,
    .handle_out = odd_handle_out,
};

static const struct channel_module *const modules[] = {&notifications_channel, &odd_channel, NULL};

static struct fake_broker fb;
static struct fake_client a, b;

static int setup(void **state)
{
    (void)state;
    fake_broker_init(&fb, modules);
    fake_connect(&a, &fb, PHX_V2, 1);
    fake_connect(&b, &fb, PHX_V2, 2);
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

static void join(struct fake_client *c, const char *ref)
{
    char text[128];
    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"notifications\",\"phx_join\",{}]", ref, ref);
    fake_send(c, text);
    snprintf(text, sizeof(text),
             "[\"%s\",\"%s\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]",
             ref, ref);
    fake_expect(c, text);
    fake_expect_nothing(c);
}

static void c41_heartbeat_in_every_state(void **state)
{
    fake_send(&a, "[null,\"9\",\"phoenix\",\"heartbeat\",{}]");
    fake_expect(&a, "[null,\"9\",\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_send(&a, "[\"7\",10,\"phoenix\",\"heartbeat\",[1]]");
    fake_expect(&a, "[null,10,\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_send(&a, "[null,\"11\",\"phoenix\",\"other\",{}]");
    fake_expect(&a, "[null,\"11\",\"phoenix\",\"phx_reply\",{\"response\":{\"reason\":\"unmatched "
                    "topic\"},\"status\":\"error\"}]");
}

static void c42_join_answers_with_the_channels_object(void **state)
{
    fake_send(&a, "[\"3\",\"3\",\"odd:x\",\"phx_join\",{\"k\":1}]");
    fake_expect(&a,
                "[\"3\",\"3\",\"odd:x\",\"phx_reply\",{\"response\":{\"k\":1},\"status\":\"ok\"}]");
}

static void c44_unknown_topic(void **state)
{
    fake_send(&a, "[\"9\",\"9\",\"notifications:lobby\",\"phx_join\",{}]");
    fake_expect(&a, "[null,\"9\",\"notifications:lobby\",\"phx_reply\",{\"response\":{\"reason\":"
                    "\"unmatched topic\"},\"status\":\"error\"}]");
}

static void c31_a_topic_that_is_no_string_is_echoed(void **state)
{
    fake_send(&a, "[null,\"1\",5,\"phx_join\",{}]");
    fake_expect(&a, "[null,\"1\",5,\"phx_reply\",{\"response\":{\"reason\":\"unmatched topic\"},"
                    "\"status\":\"error\"}]");
}

static void c45_patterns(void **state)
{
    struct {
        const char *topic;
        bool matches;
    } cases[] = {{"odd:", true},
                 {"odd:x", true},
                 {"odd", false},
                 {"notifications", true},
                 {"notifications2", false},
                 {"Notifications", false},
                 {"", false}};
    for (size_t i = 0; i < TK_ARRAY_LEN(cases); i++)
        assert_int_equal(channel_module_for(modules, tk_slice_str(cases[i].topic)) != NULL,
                         cases[i].matches);
}

static void c46_c47_refused_and_crashed_joins(void **state)
{
    fake_send(&a, "[\"1\",\"2\",\"odd:private\",\"phx_join\",{}]");
    fake_expect(&a, "[\"1\",\"2\",\"odd:private\",\"phx_reply\",{\"response\":{\"reason\":"
                    "\"unauthorized\"},\"status\":\"error\"}]");
    fake_send(&a, "[\"3\",\"3\",\"odd:reason\",\"phx_join\",{}]");
    fake_expect(&a,
                "[\"3\",\"3\",\"odd:reason\",\"phx_reply\",{\"response\":{\"reason\":\"closed\"},"
                "\"status\":\"error\"}]");
    fake_send(&a, "[\"4\",\"4\",\"odd:broken\",\"phx_join\",{}]");
    fake_expect(&a, "[\"4\",\"4\",\"odd:broken\",\"phx_reply\",{\"response\":{\"reason\":\"join "
                    "crashed\"},\"status\":\"error\"}]");
    assert_int_equal(a.session->channel_count, 0);
    assert_int_equal(fb.broker.topics.map.count, 0);
}

static void c48_too_many_channels(void **state)
{
    fb.settings.max_channels = 2;
    fake_send(&a, "[\"1\",\"1\",\"odd:1\",\"phx_join\",{}]");
    fake_send(&a, "[\"2\",\"2\",\"odd:2\",\"phx_join\",{}]");
    a.read = a.sent_count;
    fake_send(&a, "[\"3\",\"3\",\"odd:3\",\"phx_join\",{}]");
    fake_expect(&a, "[\"3\",\"3\",\"odd:3\",\"phx_reply\",{\"response\":{\"reason\":\"too many "
                    "channels joined\"},\"status\":\"error\"}]");
    /* Rejoining a joined topic is not counted twice; a leave frees its place at once. */
    fake_send(&a, "[\"4\",\"4\",\"odd:2\",\"phx_join\",{}]");
    fake_expect(&a, "[\"2\",\"2\",\"odd:2\",\"phx_close\",{}]");
    fake_expect(&a, "[\"4\",\"4\",\"odd:2\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_send(&a, "[\"4\",\"5\",\"odd:2\",\"phx_leave\",{}]");
    a.read = a.sent_count;
    fake_send(&a, "[\"6\",\"6\",\"odd:3\",\"phx_join\",{}]");
    fake_expect(&a, "[\"6\",\"6\",\"odd:3\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
}

static void c185_topic_length(void **state)
{
    char topic[300], text[400];
    memset(topic, 'x', sizeof(topic));
    memcpy(topic, "odd:", 4);
    topic[255] = '\0';
    snprintf(text, sizeof(text), "[\"1\",\"1\",\"%s\",\"phx_join\",{}]", topic);
    fake_send(&a, text);
    assert_non_null(strstr(a.sent[0], "\"status\":\"ok\""));
    topic[255] = 'x';
    topic[256] = '\0';
    snprintf(text, sizeof(text), "[\"2\",\"2\",\"%s\",\"phx_join\",{}]", topic);
    fake_send(&a, text);
    assert_non_null(strstr(a.sent[1], "{\"reason\":\"topic too long\"}"));
}

static void c50_duplicate_join_closes_the_old_channel_first(void **state)
{
    join(&a, "1");
    fake_send(&a, "[\"2\",\"2\",\"notifications\",\"phx_join\",{}]");
    fake_expect(&a, "[\"1\",\"1\",\"notifications\",\"phx_close\",{}]");
    fake_expect(
        &a, "[\"2\",\"2\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    assert_int_equal(topic_find(&fb.broker.topics, TK_SLICE("notifications"))->member_count, 1);
}

static void c51_join_without_join_ref(void **state)
{
    fake_send(&a, "[null,\"4\",\"notifications\",\"phx_join\",{}]");
    fake_expect(&a,
                "[null,\"4\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    /* The join's ref stands in for the join_ref in replies; any join_ref matches. */
    fake_send(&a, "[\"8\",\"5\",\"notifications\",\"ping\",{\"a\":1}]");
    fake_expect(
        &a,
        "[\"4\",\"5\",\"notifications\",\"phx_reply\",{\"response\":{\"a\":1},\"status\":\"ok\"}]");
    fake_send(&a, "[null,\"6\",\"notifications\",\"phx_leave\",{}]");
    fake_expect(
        &a, "[\"4\",\"6\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect(&a, "[null,null,\"notifications\",\"phx_close\",{}]");
}

static void c52_replies_with_any_json_and_null_ref(void **state)
{
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    a.read = a.sent_count;
    fake_send(&a, "[\"1\",\"2\",\"odd:x\",\"count\",{}]");
    fake_expect(&a, "[\"1\",\"2\",\"odd:x\",\"phx_reply\",{\"response\":1,\"status\":\"error\"}]");
    fake_send(&a, "[\"1\",null,\"odd:x\",\"count\",{}]");
    fake_expect(&a, "[\"1\",null,\"odd:x\",\"phx_reply\",{\"response\":2,\"status\":\"error\"}]");
}

static void c54_message_to_a_topic_that_is_not_joined(void **state)
{
    fake_send(&a, "[\"9\",null,\"notifications\",\"collected\",{}]");
    fake_expect(&a,
                "[null,null,\"notifications\",\"phx_reply\",{\"response\":{\"reason\":\"unmatched "
                "topic\"},\"status\":\"error\"}]");
}

static void c55_stale_join_ref_is_dropped_and_null_accepted(void **state)
{
    join(&a, "3");
    fake_send(&a, "[\"2\",\"4\",\"notifications\",\"ping\",{}]");
    fake_send(&a, "[3,\"5\",\"notifications\",\"ping\",{}]"); /* "3" is not 3 (C25) */
    fake_send(&a, "[\"2\",\"6\",\"notifications\",\"phx_leave\",{}]");
    fake_expect_nothing(&a);
    fake_send(&a, "[null,\"7\",\"notifications\",\"ping\",{}]");
    fake_expect(
        &a, "[\"3\",\"7\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
}

static void c57_server_events_from_a_client_are_unknown(void **state)
{
    const char *events[] = {"phx_reply", "phx_error", "phx_close"};
    join(&a, "1");
    for (size_t i = 0; i < TK_ARRAY_LEN(events); i++) {
        char text[128];
        snprintf(text, sizeof(text), "[\"1\",\"2\",\"notifications\",\"%s\",{}]", events[i]);
        fake_send(&a, text);
        fake_expect(&a, "[\"1\",\"2\",\"notifications\",\"phx_reply\",{\"response\":{\"reason\":"
                        "\"unknown event\"},\"status\":\"error\"}]");
    }
}

static void c58_leave_then_leave_again(void **state)
{
    join(&a, "1");
    fake_send(&a, "[\"1\",\"2\",\"notifications\",\"phx_leave\",{}]");
    fake_expect(
        &a, "[\"1\",\"2\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect(&a, "[\"1\",\"1\",\"notifications\",\"phx_close\",{}]");
    fake_send(&a, "[\"1\",\"3\",\"notifications\",\"phx_leave\",{}]");
    fake_expect(
        &a, "[\"1\",\"3\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect_nothing(&a);
    assert_int_equal(fb.broker.topics.map.count, 0);
}

static void c61_a_crash_is_an_error_frame_and_the_topic_is_absent(void **state)
{
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    join(&b, "1");
    a.read = a.sent_count;
    fake_send(&a, "[\"1\",\"2\",\"odd:x\",\"crash\",{}]");
    fake_expect(&a, "[\"1\",\"1\",\"odd:x\",\"phx_error\",{\"reason\":\"channel_crash\"}]");
    fake_send(&a, "[\"1\",\"3\",\"odd:x\",\"count\",{}]");
    fake_expect(
        &a, "[null,\"3\",\"odd:x\",\"phx_reply\",{\"response\":{\"reason\":\"unmatched topic\"},"
            "\"status\":\"error\"}]");
    fake_send(&b, "[\"1\",\"2\",\"notifications\",\"ping\",{}]");
    fake_expect(
        &b, "[\"1\",\"2\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
}

static void c77_c78_interceptions_push_and_fail_alone(void **state)
{
    struct phx_payload payload = channel_object(TK_SLICE("{\"k\":1}"));
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    fake_send(&b, "[\"7\",\"7\",\"odd:x\",\"phx_join\",{}]");
    a.read = a.sent_count, b.read = b.sent_count;
    struct topic *t = topic_find(&fb.broker.topics, TK_SLICE("odd:x"));
    assert_int_equal(topic_publish(&fb.broker, t, TK_SLICE("secret"), &payload, NULL), 2);
    fake_turn(&a);
    fake_expect(&a, "[\"1\",null,\"odd:x\",\"secret\",{\"k\":1}]");
    fake_expect(&b, "[\"7\",null,\"odd:x\",\"secret\",{\"k\":1}]");
    topic_publish(&fb.broker, t, TK_SLICE("poison"), &payload, NULL);
    assert_int_equal(t->member_count, 2); /* nobody goes while the publisher walks */
    fake_turn(&a);
    fake_expect(&a, "[\"1\",\"1\",\"odd:x\",\"phx_error\",{\"reason\":\"channel_crash\"}]");
    fake_expect(&b, "[\"7\",\"7\",\"odd:x\",\"phx_error\",{\"reason\":\"channel_crash\"}]");
    assert_int_equal(fb.broker.topics.map.count, 0);
}

static void c69_broadcast_from_leaves_out_one_channel(void **state)
{
    struct fake_client second_tab;
    fake_connect(&second_tab, &fb, PHX_V2, 1);
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    fake_send(&b, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    fake_send(&second_tab, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    a.read = b.read = second_tab.read = 1;
    fake_send(&a, "[\"1\",\"2\",\"odd:x\",\"others\",{\"k\":1}]");
    fake_expect_nothing(&a);
    fake_expect(&b, "[null,null,\"odd:x\",\"others\",{\"k\":1}]");
    fake_expect(&second_tab, "[null,null,\"odd:x\",\"others\",{\"k\":1}]");
    fake_client_fini(&second_tab);
}

static void c32_c33_c55_a_v1_client_without_join_ref(void **state)
{
    struct fake_client v1;
    fake_connect(&v1, &fb, PHX_V1, 3);
    fake_send(&v1,
              "{\"topic\":\"notifications\",\"event\":\"phx_join\",\"payload\":{},\"ref\":\"1\"}");
    fake_expect(&v1,
                "{\"event\":\"phx_reply\",\"payload\":{\"response\":{},\"status\":\"ok\"},\"ref\":"
                "\"1\",\"topic\":\"notifications\"}");
    fake_send(&v1,
              "{\"topic\":\"notifications\",\"event\":\"phx_leave\",\"payload\":{},\"ref\":\"2\"}");
    fake_expect(&v1,
                "{\"event\":\"phx_reply\",\"payload\":{\"response\":{},\"status\":\"ok\"},\"ref\":"
                "\"2\",\"topic\":\"notifications\"}");
    fake_expect(
        &v1, "{\"event\":\"phx_close\",\"payload\":{},\"ref\":null,\"topic\":\"notifications\"}");
    fake_send(
        &v1,
        "{\"topic\":\"odd:q\",\"event\":\"phx_join\",\"payload\":{},\"ref\":\"20\",\"join_ref\":"
        "\"20\"}");
    v1.read = v1.sent_count;
    /* C55: O ignored this leave, which brings no join_ref although the join had one. */
    fake_send(&v1, "{\"topic\":\"odd:q\",\"event\":\"phx_leave\",\"payload\":{},\"ref\":\"22\"}");
    fake_expect(&v1,
                "{\"event\":\"phx_reply\",\"payload\":{\"response\":{},\"status\":\"ok\"},\"ref\":"
                "\"22\",\"topic\":\"odd:q\"}");
    fake_expect(&v1, "{\"event\":\"phx_close\",\"payload\":{},\"ref\":\"20\",\"topic\":\"odd:q\"}");
    fake_client_fini(&v1);
}

static void c62_the_end_of_a_connection_ends_its_channels_silently(void **state)
{
    join(&a, "1");
    join(&b, "1");
    fake_drop(&a);
    fake_turn(&b);
    fake_expect_nothing(&b);
    assert_int_equal(topic_find(&fb.broker.topics, TK_SLICE("notifications"))->member_count, 1);
}

/*
 * C49, C73: while Redis has not confirmed a topic its join is undecided; what comes meanwhile for
 * this topic waits and is then handled in order, a leave and a new join included.
 */
static void c49_messages_wait_for_an_undecided_join(void **state)
{
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    a.read = a.sent_count;
    struct channel *ch = a.session->channels;
    topic_remove_member(ch->topic, ch);
    ch->state = CHANNEL_JOINING; /* as channel_open leaves it when Redis is there */
    ch->topic->waiting = ch;
    fake_send(&a, "[\"1\",\"2\",\"odd:x\",\"count\",{}]");
    fake_send(&a, "[\"1\",\"3\",\"odd:x\",\"phx_leave\",{}]");
    fake_send(&a, "[\"4\",\"4\",\"odd:x\",\"phx_join\",{}]");
    fake_send(&a, "[null,\"5\",\"phoenix\",\"heartbeat\",{}]");
    fake_expect(&a, "[null,\"5\",\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect_nothing(&a);
    pubsub_on_subscribed(&fb.broker, TK_SLICE("tako:topic:odd:x"));
    fake_turn(&a);
    fake_expect(&a, "[\"1\",\"1\",\"odd:x\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect(&a, "[\"1\",\"2\",\"odd:x\",\"phx_reply\",{\"response\":1,\"status\":\"error\"}]");
    fake_expect(&a, "[\"1\",\"3\",\"odd:x\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect(&a, "[\"1\",\"1\",\"odd:x\",\"phx_close\",{}]");
    fake_expect(&a, "[\"4\",\"4\",\"odd:x\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect_nothing(&a);
}

static void a_client_that_leaves_while_its_join_waits_is_forgotten(void **state)
{
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    struct channel *ch = a.session->channels;
    topic_remove_member(ch->topic, ch);
    ch->state = CHANNEL_JOINING;
    ch->topic->waiting = ch;
    fake_send(&a, "[\"1\",\"2\",\"odd:x\",\"count\",{}]");
    fake_drop(&a);
    pubsub_on_down(&fb.broker);
    assert_int_equal(fb.broker.topics.map.count, 0);
}

/* Puts a joined channel back to where channel_open leaves it while Redis is there. */
static struct channel *undecided(struct session *s)
{
    struct channel *ch = s->channels;
    topic_remove_member(ch->topic, ch);
    ch->state = CHANNEL_JOINING;
    pubsub_joins_wait(s->broker, ch->topic);
    ch->topic->waiting = ch;
    return ch;
}

/*
 * C173: a join that Redis never confirms is refused before the client's own patience (10 s) ends,
 * the topic is absent afterwards, and joins of other topics are not touched.
 */
static void c173_an_undecided_join_has_a_deadline(void **state)
{
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    a.read = a.sent_count;
    undecided(a.session);
    fake_send(&a, "[\"1\",\"2\",\"odd:x\",\"count\",{}]");
    fb.broker.now_ms += 2000;
    fake_send(&b, "[\"7\",\"7\",\"odd:y\",\"phx_join\",{}]");
    b.read = b.sent_count;
    undecided(b.session);
    fb.broker.now_ms += 2900;
    pubsub_check_joins(&fb.broker);
    fake_turn(&a);
    fake_expect_nothing(&a);
    fb.broker.now_ms += 200;
    pubsub_check_joins(&fb.broker);
    fake_turn(&a);
    fake_expect(&a, "[\"1\",\"1\",\"odd:x\",\"phx_reply\",{\"response\":{\"reason\":\"join "
                    "crashed\"},\"status\":\"error\"}]");
    fake_expect_nothing(&a);
    fake_expect_nothing(&b);
    assert_null(topic_find(&fb.broker.topics, TK_SLICE("odd:x")));
    fb.broker.now_ms += 2000;
    pubsub_check_joins(&fb.broker);
    fake_turn(&b);
    fake_expect(&b, "[\"7\",\"7\",\"odd:y\",\"phx_reply\",{\"response\":{\"reason\":\"join "
                    "crashed\"},\"status\":\"error\"}]");
    assert_int_equal(fb.broker.stats.join_timeouts, 2);
    assert_int_equal(fb.broker.topics.map.count, 0);
}

/*
 * C49: what one joining channel may have waiting is bounded. A first frame of exactly the limit
 * once left the space that remains below zero, as a number without sign: from then on everything
 * was kept.
 */
static void c49_what_waits_for_a_join_is_bounded(void **state)
{
    char *text = tk_xmalloc(65537);
    const char head[] = "[\"1\",\"2\",\"odd:x\",\"count\",\"";
    memset(text, 'x', 65536);
    memcpy(text, head, sizeof(head) - 1);
    strcpy(text + 65534, "\"]");
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    struct channel *ch = undecided(a.session);
    fake_send(&a, text);
    assert_int_equal(a.close_code, 1001);
    fake_send(&b, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    ch = undecided(b.session);
    strcpy(text + 60000, "\"]");
    fake_send(&b, text);
    assert_int_equal(b.close_code, 0);
    assert_in_range(ch->early_bytes, 60002, 65536);
    fake_send(&b, text);
    assert_int_equal(b.close_code, 1001);
    free(text);
}

/* C173: a join that waits does not hold up the connection's other topics. */
static void c173_other_topics_do_not_wait(void **state)
{
    fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    undecided(a.session);
    a.read = a.sent_count;
    join(&a, "2");
    fake_send(&a, "[\"2\",\"3\",\"notifications\",\"ping\",{}]");
    fake_expect(
        &a, "[\"2\",\"3\",\"notifications\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
}

/* C185: all channels at once are fine, then so many a second; who joins faster is told so. */
static void c185_joins_per_second(void **state)
{
    fb.settings.max_channels = 3;
    fb.settings.joins_per_s = 1;
    for (int i = 0; i < 3 + 10; i++)
        fake_send(&a, "[\"1\",\"1\",\"odd:x\",\"phx_join\",{}]");
    a.read = a.sent_count;
    fake_send(&a, "[\"1\",\"9\",\"odd:y\",\"phx_join\",{}]");
    fake_expect(&a, "[\"1\",\"9\",\"odd:y\",\"phx_reply\",{\"response\":{\"reason\":\"too many "
                    "joins\"},\"status\":\"error\"}]");
    assert_int_equal(fb.broker.stats.too_many_joins, 1);
    assert_int_equal(a.session->channel_count, 1);
    join(&b, "1"); /* the limit is each client's own */
    fb.broker.now_ms += 1000;
    fake_send(&a, "[\"1\",\"9\",\"odd:y\",\"phx_join\",{}]");
    fake_expect(&a, "[\"1\",\"9\",\"odd:y\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(c41_heartbeat_in_every_state),
        TEST(c42_join_answers_with_the_channels_object),
        TEST(c44_unknown_topic),
        TEST(c31_a_topic_that_is_no_string_is_echoed),
        TEST(c45_patterns),
        TEST(c46_c47_refused_and_crashed_joins),
        TEST(c48_too_many_channels),
        TEST(c185_topic_length),
        TEST(c50_duplicate_join_closes_the_old_channel_first),
        TEST(c51_join_without_join_ref),
        TEST(c52_replies_with_any_json_and_null_ref),
        TEST(c54_message_to_a_topic_that_is_not_joined),
        TEST(c55_stale_join_ref_is_dropped_and_null_accepted),
        TEST(c57_server_events_from_a_client_are_unknown),
        TEST(c58_leave_then_leave_again),
        TEST(c61_a_crash_is_an_error_frame_and_the_topic_is_absent),
        TEST(c77_c78_interceptions_push_and_fail_alone),
        TEST(c69_broadcast_from_leaves_out_one_channel),
        TEST(c32_c33_c55_a_v1_client_without_join_ref),
        TEST(c62_the_end_of_a_connection_ends_its_channels_silently),
        TEST(c49_messages_wait_for_an_undecided_join),
        TEST(c49_what_waits_for_a_join_is_bounded),
        TEST(c173_an_undecided_join_has_a_deadline),
        TEST(c173_other_topics_do_not_wait),
        TEST(c185_joins_per_second),
        TEST(a_client_that_leaves_while_its_join_waits_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
