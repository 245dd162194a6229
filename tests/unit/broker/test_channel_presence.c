/* SPDX-License-Identifier: MIT */
/*
 * What clients of a room see of each other (C99-C116, C180), frame by frame. Refs are shown as R1,
 * R2 and so on in the order of their first appearance, and times as 0.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/channel_presence.h"
#include "broker/channels/channels.h"
#include "tests/unit/broker/fake_client.h"

#define REFS_MAX 32

static struct fake_broker fb;
static struct fake_client a, b, c;
static char refs[REFS_MAX][PRESENCE_REF_LEN + 1];
static size_t ref_count;

/* Two users; a has two connections, a and c. */
static int setup(void **state)
{
    (void)state;
    fake_broker_init(&fb, user_socket_channels);
    fake_connect(&a, &fb, PHX_V2, 1);
    fake_connect(&b, &fb, PHX_V2, 2);
    fake_connect(&c, &fb, PHX_V2, 1);
    ref_count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_client_fini(&a);
    fake_client_fini(&b);
    fake_client_fini(&c);
    fake_broker_fini(&fb);
    return 0;
}

static void pass_ms(uint64_t ms)
{
    fb.broker.now_ms += ms;
    presence_store_tick(&fb.broker, fb.broker.now_ms);
    broker_end_turn(&fb.broker);
}

static void pass_window(void)
{
    pass_ms(fb.broker.presence.engine.options.window_ms);
}

static size_t number_of(const char *ref)
{
    size_t i = 0;
    while (i < ref_count && memcmp(refs[i], ref, PRESENCE_REF_LEN) != 0)
        i++;
    if (i == ref_count) {
        assert_true(ref_count < REFS_MAX);
        memcpy(refs[ref_count++], ref, PRESENCE_REF_LEN);
    }
    return i + 1;
}

static const char *user_key(unsigned user)
{
    static char ids[4][TK_PUBLIC_ID_LEN + 1];
    struct tk_uuid id = fake_user(user);
    return tk_public_id(&id, ids[user]);
}

static bool skip_text(const char **text, const char *expected)
{
    size_t len = strlen(expected);
    if (strncmp(*text, expected, len) != 0)
        return false;
    *text += len;
    return true;
}

/* A frame as the tests write it. */
static char *readable(const char *frame)
{
    struct tk_buf out = {0};
    while (*frame) {
        if (skip_text(&frame, user_key(1))) {
            tk_buf_append_str(&out, "one");
        } else if (skip_text(&frame, user_key(2))) {
            tk_buf_append_str(&out, "two");
        } else if (skip_text(&frame, "\"phx_ref\":\"") ||
                   skip_text(&frame, "\"phx_ref_prev\":\"")) {
            tk_buf_appendf(&out, "%s:R%zu", frame[-4] == 'v' ? "prev" : "ref", number_of(frame));
            frame += PRESENCE_REF_LEN + 1;
        } else if (skip_text(&frame, "\"online_at\":")) {
            tk_buf_append_str(&out, "\"online_at\":0");
            frame += strspn(frame, "0123456789");
        } else {
            tk_buf_append_char(&out, *frame++);
        }
    }
    char *text = tk_xstrdup(tk_buf_str(&out));
    tk_buf_fini(&out);
    return text;
}

static void expect_at(struct fake_client *client, const char *expected, const char *file, int line)
{
    if (client->read >= client->sent_count)
        fake_expect_at(client, expected, file, line); /* fails, and says what is missing */
    char *text = readable(client->sent[client->read++]);
    _assert_string_equal(text, expected, file, line);
    free(text);
}
#define expect(client, text) expect_at((client), (text), __FILE__, __LINE__)

static void skip_frames(struct fake_client *client)
{
    client->read = client->sent_count;
}

#define JOIN            "[\"1\",\"1\",\"room:1\",\"phx_join\",{}]"
#define JOINED          "[\"1\",\"1\",\"room:1\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]"
#define STATE(s)        "[\"1\",null,\"room:1\",\"presence_state\"," s "]"
#define DIFF(j, l)      "[null,null,\"room:1\",\"presence_diff\",{\"joins\":" j ",\"leaves\":" l "}]"
#define META(ref)       "{" ref ",\"nickname\":\"somebody\",\"online_at\":0}"
#define MORE(ref, more) "{" ref ",\"nickname\":\"somebody\",\"online_at\":0," more "}"
#define ONE(metas)      "\"one\":{\"metas\":[" metas "]}"
#define TWO(metas)      "\"two\":{\"metas\":[" metas "]}"

/* a and b are in the room, and have seen each other. */
static void enter_both(void)
{
    fake_send(&a, JOIN);
    pass_window();
    fake_send(&b, JOIN);
    pass_window();
    skip_frames(&a);
    skip_frames(&b);
}

static void c106_c109_state_follows_the_reply_and_the_own_entry_comes_once(void **state)
{
    (void)state;
    fake_send(&a, JOIN);
    expect(&a, JOINED);
    expect(&a, STATE("{}"));
    fake_expect_nothing(&a);
    pass_window();
    expect(&a, DIFF("{" ONE(META("ref:R1")) "}", "{}"));
    fake_send(&b, JOIN);
    expect(&b, JOINED);
    expect(&b, STATE("{" ONE(META("ref:R1")) "}"));
    fake_expect_nothing(&a);
    pass_window();
    expect(&a, DIFF("{" TWO(META("ref:R2")) "}", "{}"));
    expect(&b, DIFF("{" TWO(META("ref:R2")) "}", "{}"));
}

static void c108_c182_a_state_within_a_batch_is_the_one_before_it(void **state)
{
    (void)state;
    fake_send(&a, JOIN);
    fake_send(&b, JOIN); /* a's entry is not told yet */
    expect(&b, JOINED);
    expect(&b, STATE("{}"));
    pass_window();
    expect(&b, DIFF("{" ONE(META("ref:R1")) "," TWO(META("ref:R2")) "}", "{}"));
    fake_expect_nothing(&b);
}

static void c116_without_a_window_every_change_is_told_at_once(void **state)
{
    (void)state;
    fb.broker.presence.engine.options.window_ms = 0;
    fake_send(&a, JOIN);
    expect(&a, JOINED);
    expect(&a, STATE("{" ONE(META("ref:R1")) "}"));
    fake_send(&b, JOIN);
    expect(&b, JOINED);
    expect(&b, STATE("{" ONE(META("ref:R1")) "," TWO(META("ref:R2")) "}"));
    expect(&a, DIFF("{" TWO(META("ref:R2")) "}", "{}"));
    fake_expect_nothing(&b);
    fake_send(&b, "[\"1\",\"2\",\"room:1\",\"phx_leave\",{}]");
    expect(&a, DIFF("{}", "{" TWO(META("ref:R2")) "}"));
    fake_expect_nothing(&a);
}

static void c110_c183_a_second_connection_adds_one_meta(void **state)
{
    (void)state;
    enter_both();
    fake_send(&c, JOIN);
    expect(&c, JOINED);
    expect(&c, STATE("{" ONE(META("ref:R1")) "," TWO(META("ref:R2")) "}"));
    pass_window();
    expect(&b, DIFF("{" ONE(META("ref:R3")) "}", "{}"));
    fake_drop(&c);
    pass_window();
    expect(&b, DIFF("{}", "{" ONE(META("ref:R3")) "}"));
}

static void c111_c112_an_update_is_one_diff_and_replaces_the_meta(void **state)
{
    (void)state;
    fake_send(&a, "[\"1\",\"1\",\"room:1\",\"phx_join\",{\"meta\":{\"device\":\"phone\"}}]");
    pass_window();
    skip_frames(&a);
    fake_send(&a, "[\"1\",\"2\",\"room:1\",\"update_presence\",{\"mood\": [1, 2]}]");
    expect(&a, "[\"1\",\"2\",\"room:1\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    pass_window();
    expect(&a, DIFF("{" ONE(MORE("ref:R1,prev:R2", "\"mood\":[1, 2]")) "}",
                    "{" ONE(MORE("ref:R2", "\"device\":\"phone\"")) "}"));
}

static void c101_c116_a_chain_of_updates_is_told_by_its_ends(void **state)
{
    (void)state;
    enter_both();
    fake_send(&a, "[\"1\",\"2\",\"room:1\",\"update_presence\",{\"n\":1}]");
    fake_send(&a, "[\"1\",\"3\",\"room:1\",\"update_presence\",{\"n\":2}]");
    pass_window();
    expect(&b, DIFF("{" ONE(MORE("ref:R1,prev:R2", "\"n\":2")) "}", "{" ONE(META("ref:R3")) "}"));
    fake_expect_nothing(&b);
}

static void c113_c114_a_leave_is_told_to_the_others_only(void **state)
{
    (void)state;
    enter_both();
    fake_send(&b, "[\"1\",\"2\",\"room:1\",\"phx_leave\",{}]");
    pass_window();
    expect(&a, DIFF("{}", "{" TWO(META("ref:R1")) "}"));
    expect(&b, "[\"1\",\"2\",\"room:1\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    expect(&b, "[\"1\",\"1\",\"room:1\",\"phx_close\",{}]");
    fake_expect_nothing(&b);
}

static void c115_c181_a_rejoin_within_the_window_is_one_diff(void **state)
{
    (void)state;
    enter_both();
    fake_send(&a, "[\"5\",\"5\",\"room:1\",\"phx_join\",{}]");
    expect(&a, "[\"1\",\"1\",\"room:1\",\"phx_close\",{}]");
    expect(&a, "[\"5\",\"5\",\"room:1\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    expect(&a, "[\"5\",null,\"room:1\",\"presence_state\",{" ONE(META("ref:R1")) "," TWO(
                   META("ref:R2")) "}]");
    pass_window();
    expect(&b, DIFF("{" ONE(META("ref:R3")) "}", "{" ONE(META("ref:R1")) "}"));
    expect(&a, DIFF("{" ONE(META("ref:R3")) "}", "{" ONE(META("ref:R1")) "}"));
    fake_expect_nothing(&b);
}

static void c116_who_comes_and_goes_within_the_window_is_not_told(void **state)
{
    (void)state;
    enter_both();
    fake_send(&c, JOIN);
    fake_drop(&c);
    pass_window();
    fake_expect_nothing(&a);
    fake_expect_nothing(&b);
}

static void c117_members_get_the_same_diffs_in_the_same_order(void **state)
{
    (void)state;
    enter_both();
    for (int i = 0; i < 3; i++) {
        fake_send(&c, JOIN);
        pass_window();
        fake_send(&c, "[\"1\",\"2\",\"room:1\",\"phx_leave\",{}]");
        pass_window();
    }
    assert_int_equal(a.sent_count - a.read, 6);
    assert_int_equal(b.sent_count - b.read, 6);
    while (a.read < a.sent_count)
        assert_string_equal(a.sent[a.read++], b.sent[b.read++]);
}

static void c102_refs_and_what_the_server_says_cannot_be_forged(void **state)
{
    (void)state;
    fake_send(&a, "[\"1\",\"1\",\"room:1\",\"phx_join\",{\"meta\":{\"phx_ref\":\"forged\","
                  "\"phx\\u005fref_prev\":1,\"nickname\":\"admin\",\"online_at\":1,\"x\":null}}]");
    expect(&a, JOINED);
    pass_window();
    skip_frames(&a);
    fake_send(&b, JOIN);
    expect(&b, JOINED);
    expect(&b, STATE("{" ONE(MORE("ref:R1", "\"x\":null")) "}"));
}

/* What may not be in a meta is refused, in the join and in an update, and changes nothing. */
static void refuses(const char *meta, const char *reason)
{
    char text[256];
    snprintf(text, sizeof(text), "[\"9\",\"9\",\"room:2\",\"phx_join\",{\"meta\":%s}]", meta);
    fake_send(&a, text);
    snprintf(text, sizeof(text),
             "[\"9\",\"9\",\"room:2\",\"phx_reply\",{\"response\":{\"reason\":\"%s\"},\"status\":"
             "\"error\"}]",
             reason);
    expect(&a, text);
    snprintf(text, sizeof(text), "[\"1\",\"2\",\"room:1\",\"update_presence\",%s]", meta);
    fake_send(&a, text);
    snprintf(text, sizeof(text),
             "[\"1\",\"2\",\"room:1\",\"phx_reply\",{\"response\":{\"reason\":\"%s\"},\"status\":"
             "\"error\"}]",
             reason);
    expect(&a, text);
    pass_window();
    fake_expect_nothing(&a);
    fake_expect_nothing(&b);
}

static void c103_names_of_the_object_prototype_are_refused(void **state)
{
    (void)state;
    enter_both();
    refuses("{\"__proto__\":{}}", "invalid meta");
    refuses("{\"a\":1,\"constr\\u0075ctor\":2}", "invalid meta");
}

static void c105_metas_are_objects_of_bounded_size(void **state)
{
    (void)state;
    enter_both();
    refuses("[1]", "invalid meta");
    refuses("\"text\"", "invalid meta");
    fb.settings.presence_meta_bytes = 64;
    refuses("{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
            "meta too large");
}

static void c105_a_user_and_a_room_have_limits(void **state)
{
    (void)state;
    enter_both();
    fb.broker.presence.engine.options.max_per_key = 1;
    fake_send(&c, JOIN);
    expect(&c, "[\"1\",\"1\",\"room:1\",\"phx_reply\",{\"response\":{\"reason\":\"too many "
               "presences\"},\"status\":\"error\"}]");
    fb.broker.presence.engine.options.max_per_key = 9;
    fb.broker.presence.engine.options.max_per_topic = 2;
    fake_send(&c, JOIN);
    expect(&c, "[\"1\",\"1\",\"room:1\",\"phx_reply\",{\"response\":{\"reason\":\"too many "
               "presences\"},\"status\":\"error\"}]");
    fake_send(&c, "[\"1\",\"2\",\"room:1\",\"shout\",{}]");
    expect(&c, "[null,\"2\",\"room:1\",\"phx_reply\",{\"response\":{\"reason\":\"unmatched "
               "topic\"},\"status\":\"error\"}]");
    pass_window();
    fake_expect_nothing(&b);
}

static void a_new_nickname_is_told_in_every_room(void **state)
{
    (void)state;
    enter_both();
    fake_send(&b, "[\"3\",\"3\",\"room:2\",\"phx_join\",{}]");
    fake_send(&a, "[\"3\",\"3\",\"room:2\",\"phx_join\",{\"meta\":{\"k\":1}}]");
    pass_window();
    skip_frames(&b);
    const struct tk_user_event event = {
        .kind = TK_USER_UPDATED, .id = fake_user(1), .nickname = TK_SLICE("Ren\"amed")};
    online_users_on_event(&fb.broker, &event);
    pass_window();
    ref_count = 0;
    expect(&b,
           "[null,null,\"room:2\",\"presence_diff\",{\"joins\":{\"one\":{\"metas\":[{ref:R1,"
           "prev:R2,\"nickname\":\"Ren\\\"amed\",\"online_at\":0,\"k\":1}]}},\"leaves\":{\"one\":"
           "{\"metas\":[{ref:R2,\"nickname\":\"somebody\",\"online_at\":0,\"k\":1}]}}}]");
    expect(&b, DIFF("{\"one\":{\"metas\":[{ref:R3,prev:R4,\"nickname\":\"Ren\\\"amed\",\"online_"
                    "at\":0}]}}",
                    "{" ONE(META("ref:R4")) "}"));
    fake_expect_nothing(&b);
}

/* Every stamp that a user collected used to be told to all of his rooms as a change of presence. */
static void an_update_that_keeps_the_nickname_is_told_to_nobody(void **state)
{
    const struct tk_user_event event = {
        .kind = TK_USER_UPDATED, .id = fake_user(1), .nickname = TK_SLICE("somebody")};
    (void)state;
    enter_both();
    online_users_on_event(&fb.broker, &event);
    pass_window();
    fake_expect_nothing(&b);
}

/* While Redis is away nobody tells of a new nickname; the user's next connection brings it. */
static void a_nickname_that_nobody_told_of_is_found_out(void **state)
{
    struct tk_uuid id = fake_user(1);
    struct online_user *user = online_users_find(&fb.broker.users, &id);
    (void)state;
    enter_both();
    free(user->nickname);
    user->nickname = tk_xstrdup("an old one");
    fake_client_fini(&c);
    fake_connect(&c, &fb, PHX_V2, 1);
    pass_window();
    expect(&b, DIFF("{" ONE(META("ref:R1,prev:R2")) "}", "{" ONE(META("ref:R2")) "}"));
}

static void a_v1_client_gets_its_own_encoding(void **state)
{
    (void)state;
    fake_client_fini(&c);
    fake_connect(&c, &fb, PHX_V1, 2);
    fake_send(&c, "{\"topic\":\"room:1\",\"event\":\"phx_join\",\"payload\":{},\"ref\":\"1\"}");
    expect(&c, "{\"event\":\"phx_reply\",\"payload\":{\"response\":{},\"status\":\"ok\"},\"ref\":"
               "\"1\",\"topic\":\"room:1\"}");
    expect(&c, "{\"event\":\"presence_state\",\"payload\":{},\"ref\":null,\"topic\":\"room:1\"}");
    pass_window();
    expect(&c, "{\"event\":\"presence_diff\",\"payload\":{\"joins\":{" TWO(
                   META("ref:R1")) "},\"leaves\":{}},\"ref\":null,\"topic\":\"room:1\"}");
}

static void c118_a_large_state_is_encoded_once_and_shared(void **state)
{
    (void)state;
    char join[4200];
    memset(join, 'x', sizeof(join));
    int start =
        snprintf(join, sizeof(join), "[\"1\",\"1\",\"room:1\",\"phx_join\",{\"meta\":{\"a\":\"");
    join[start] = 'x';
    snprintf(join + 4000, sizeof(join) - 4000, "\"}}]");
    fake_send(&a, join);
    pass_window();
    fake_send(&b, JOIN);
    struct topic *t = topic_find(&fb.broker.topics, TK_SLICE("room:1"));
    const struct frame *shared = *presence_state_cache(t->presence);
    assert_non_null(shared);
    fake_send(&c, JOIN);
    assert_ptr_equal(*presence_state_cache(t->presence), shared);
    assert_int_equal(b.fragments, 3);
    skip_frames(&a);
    char *first = readable(b.sent[1]), *second = readable(c.sent[1]);
    assert_string_equal(first, second);
    assert_true(strlen(first) > 3900 && first[strlen(first) - 1] == ']');
    free(first);
    free(second);
    pass_window();
    assert_null(*presence_state_cache(t->presence));
}

static void c180_a_room_that_only_counts_tells_numbers(void **state)
{
    (void)state;
    char big[] = "room:big-*", one[] = "room:1", *patterns[] = {big, one};
    fb.settings.presence_counts_only = (struct tk_string_list){patterns, 2};
    fake_send(&a, JOIN);
    expect(&a, JOINED);
    expect(&a, "[\"1\",null,\"room:1\",\"presence_count\",{\"count\":0}]");
    pass_window();
    expect(&a, "[null,null,\"room:1\",\"presence_count\",{\"count\":1}]");
    fake_send(&b, JOIN);
    expect(&b, JOINED);
    expect(&b, "[\"1\",null,\"room:1\",\"presence_count\",{\"count\":1}]");
    fake_send(&c, JOIN); /* a's user again */
    pass_window();
    expect(&a, "[null,null,\"room:1\",\"presence_count\",{\"count\":2}]");
    fake_send(&a, "[\"1\",\"2\",\"room:1\",\"update_presence\",{}]");
    pass_window();
    expect(&a, "[\"1\",\"2\",\"room:1\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    fake_expect_nothing(&a);
    fb.settings.presence_counts_only = (struct tk_string_list){0};
}

/* Who is sent away is still there for the others, until somebody tells that he came back. */
static void c129_a_drain_keeps_who_is_sent_away(void **state)
{
    (void)state;
    enter_both();
    fb.broker.is_draining = true;
    session_close(b.session, CLOSE_SERVICE_RESTART, NULL);
    pass_window();
    fake_expect_nothing(&a);
    fake_send(&a, "[\"1\",\"2\",\"room:1\",\"phx_leave\",{}]"); /* leaves by himself */
    fake_turn(&a);
    fb.broker.is_draining = false;
    assert_int_equal(presence_drain(&fb.broker.presence.engine), 1);
}

static void c129_or_tells_at_once_when_nothing_lingers(void **state)
{
    (void)state;
    enter_both();
    fb.settings.presence_linger_ms = 0;
    fb.broker.is_draining = true;
    session_close(b.session, CLOSE_SERVICE_RESTART, NULL);
    pass_window();
    expect(&a, DIFF("{}", "{" TWO(META("ref:R1")) "}"));
    fb.broker.is_draining = false;
}

/*
 * A channel with other habits than the room's: it does not track by itself.
 */

static enum tk_err quiet_handle_in(struct channel *ch, const struct phx_msg *msg)
{
    struct tk_buf list = {0};
    struct phx_payload response;
    enum tk_err err = TK_OK;
    if (tk_slice_eq_str(msg->event, "track"))
        err = channel_track(ch, msg->payload.bytes);
    else if (tk_slice_eq_str(msg->event, "update"))
        err = channel_update_presence(ch, msg->payload.bytes);
    else if (tk_slice_eq_str(msg->event, "untrack"))
        channel_untrack(ch);
    tk_buf_appendf(&list, "{\"error\":\"%s\",\"count\":%u,\"list\":", tk_strerror(err),
                   (unsigned)channel_count_presence(ch));
    channel_list_presence(ch, &list);
    tk_buf_append_char(&list, '}');
    response = channel_object(tk_buf_slice(&list));
    channel_reply(ch, msg, TK_SLICE("ok"), &response);
    tk_buf_fini(&list);
    return TK_OK;
}

static const struct channel_module quiet_channel = {
    .topic = "quiet", .has_presence = true, .handle_in = quiet_handle_in};
static const struct channel_module *const quiet_channels[] = {&quiet_channel, NULL};

static int setup_quiet(void **state)
{
    (void)state;
    fake_broker_init(&fb, quiet_channels);
    fake_connect(&a, &fb, PHX_V2, 1);
    fake_connect(&b, &fb, PHX_V2, 2);
    fake_connect(&c, &fb, PHX_V2, 1);
    ref_count = 0;
    return 0;
}

#define ANSWER(error, count, list)                                                                 \
    "[\"1\",\"2\",\"quiet\",\"phx_reply\",{\"response\":{\"error\":\"" error "\",\"count\":" count \
    ",\"list\":" list "},\"status\":\"ok\"}]"

static void c106_c112_c179_a_channel_that_does_not_track_sees_who_does(void **state)
{
    (void)state;
    fake_send(&a, "[\"1\",\"1\",\"quiet\",\"phx_join\",{}]");
    fake_send(&b, "[\"1\",\"1\",\"quiet\",\"phx_join\",{}]");
    expect(&b, "[\"1\",\"1\",\"quiet\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    expect(&b, "[\"1\",null,\"quiet\",\"presence_state\",{}]");
    skip_frames(&a);
    fake_send(&a, "[\"1\",\"2\",\"quiet\",\"update\",{}]");
    expect(&a, ANSWER("not found", "0", "{}"));
    fake_send(&a, "[\"1\",\"2\",\"quiet\",\"track\",{}]");
    expect(&a, ANSWER("ok", "0", "{}"));
    fake_send(&a, "[\"1\",\"2\",\"quiet\",\"track\",{}]");
    expect(&a, ANSWER("exists already", "0", "{}"));
    pass_window();
    expect(&b, "[null,null,\"quiet\",\"presence_diff\",{\"joins\":{" ONE(
                   META("ref:R1")) "},\"leaves\":{}}]");
    skip_frames(&a);
    fake_send(&a, "[\"1\",\"2\",\"quiet\",\"untrack\",{}]");
    expect(&a, ANSWER("ok", "1", "{" ONE(META("ref:R1")) "}"));
    pass_window();
    expect(&b, "[null,null,\"quiet\",\"presence_diff\",{\"joins\":{},\"leaves\":{" ONE(
                   META("ref:R1")) "}}]");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(c106_c109_state_follows_the_reply_and_the_own_entry_comes_once),
        TEST(c108_c182_a_state_within_a_batch_is_the_one_before_it),
        TEST(c116_without_a_window_every_change_is_told_at_once),
        TEST(c110_c183_a_second_connection_adds_one_meta),
        TEST(c111_c112_an_update_is_one_diff_and_replaces_the_meta),
        TEST(c101_c116_a_chain_of_updates_is_told_by_its_ends),
        TEST(c113_c114_a_leave_is_told_to_the_others_only),
        TEST(c115_c181_a_rejoin_within_the_window_is_one_diff),
        TEST(c116_who_comes_and_goes_within_the_window_is_not_told),
        TEST(c117_members_get_the_same_diffs_in_the_same_order),
        TEST(c102_refs_and_what_the_server_says_cannot_be_forged),
        TEST(c103_names_of_the_object_prototype_are_refused),
        TEST(c105_metas_are_objects_of_bounded_size),
        TEST(c105_a_user_and_a_room_have_limits),
        TEST(a_new_nickname_is_told_in_every_room),
        TEST(an_update_that_keeps_the_nickname_is_told_to_nobody),
        TEST(a_nickname_that_nobody_told_of_is_found_out),
        TEST(a_v1_client_gets_its_own_encoding),
        TEST(c118_a_large_state_is_encoded_once_and_shared),
        TEST(c180_a_room_that_only_counts_tells_numbers),
        TEST(c129_a_drain_keeps_who_is_sent_away),
        TEST(c129_or_tells_at_once_when_nothing_lingers),
        cmocka_unit_test_setup_teardown(c106_c112_c179_a_channel_that_does_not_track_sees_who_does,
                                        setup_quiet, teardown),
    };
    return cmocka_run_group_tests_name("channel_presence", tests, NULL, NULL);
}
