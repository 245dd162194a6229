/* SPDX-License-Identifier: MIT */
/* Server frames: every row of C63 in both serializers, binary frames (C34-C40), payloads (C27). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/phoenix/phx_codec.h"

static struct tk_buf out;
static const struct phx_ref null_ref;

static int tear_down(void **state)
{
    tk_buf_fini(&out);
    return 0;
}

static struct phx_ref ref(const char *token)
{
    return (struct phx_ref){tk_slice_str(token)};
}

static struct phx_topic text_topic(const char *text)
{
    return (struct phx_topic){.bytes = tk_slice_str(text)};
}

static struct phx_payload json(enum tk_json_type type, const char *text)
{
    return (struct phx_payload){.type = type, .bytes = tk_slice_str(text)};
}

static struct phx_payload object(const char *text)
{
    return json(TK_JSON_OBJECT, text);
}

static struct phx_payload binary(struct tk_slice bytes)
{
    return (struct phx_payload){.is_binary = true, .bytes = bytes};
}

/* Takes the frame. It must have this opcode and payload; all of these are shorter than 64 KB. */
static void expect_frame(struct frame *f, enum ws_opcode opcode, struct tk_slice payload)
{
    assert_non_null(f);
    size_t header_len = f->bytes[1] == 126 ? 4 : 2;
    struct tk_slice is = tk_slice((const char *)f->bytes + header_len, f->len - header_len);

    assert_int_equal(f->bytes[0], 0x80 | opcode);
    if (!tk_slice_eq(is, payload))
        fail_msg("\n    %.*s\nis not\n    %.*s", (int)is.len, is.ptr, (int)payload.len,
                 payload.ptr);
    frame_unref(f);
}

#define TEXT(frame, literal)   expect_frame(frame, WS_TEXT, TK_SLICE(literal))
#define BINARY(frame, literal) expect_frame(frame, WS_BINARY, TK_SLICE(literal))

static struct frame *reply(enum phx_vsn vsn, struct phx_ref join_ref, struct phx_ref msg_ref,
                           struct phx_topic topic, const char *status, struct phx_payload response)
{
    return phx_encode_reply(vsn, &out, join_ref, msg_ref, topic, tk_slice_str(status), &response);
}

static struct frame *push(enum phx_vsn vsn, struct phx_ref join_ref, const char *topic,
                          const char *event, struct phx_payload payload)
{
    return phx_encode_push(vsn, &out, join_ref, tk_slice_str(topic), tk_slice_str(event), &payload);
}

static struct frame *broadcast(enum phx_vsn vsn, const char *topic, const char *event,
                               struct phx_payload payload)
{
    return phx_encode_broadcast(vsn, &out, tk_slice_str(topic), tk_slice_str(event), &payload);
}

static struct frame *end(enum phx_vsn vsn, struct phx_ref join_ref, const char *topic,
                         const char *event, const char *payload)
{
    return phx_encode_end(vsn, &out, join_ref, tk_slice_str(topic), tk_slice_str(event),
                          tk_slice_str(payload));
}

/*
 * The rows of C63
 */

/* C20 */
static void heartbeat_reply(void **state)
{
    struct phx_topic phoenix = text_topic("phoenix");

    TEXT(reply(PHX_V2, null_ref, ref("\"9\""), phoenix, "ok", object("{}")),
         "[null,\"9\",\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    TEXT(reply(PHX_V1, null_ref, ref("\"4\""), phoenix, "ok", object("{}")),
         "{\"event\":\"phx_reply\",\"payload\":{\"response\":{},\"status\":\"ok\"},\"ref\":\"4\","
         "\"topic\":\"phoenix\"}");
}

/* C42, C46, C48, C52 */
static void reply_of_a_channel(void **state)
{
    TEXT(reply(PHX_V2, ref("\"3\""), ref("\"5\""), text_topic("t"), "ok", object("{\"a\":1}")),
         "[\"3\",\"5\",\"t\",\"phx_reply\",{\"response\":{\"a\":1},\"status\":\"ok\"}]");
    TEXT(reply(PHX_V1, ref("\"3\""), ref("\"5\""), text_topic("t"), "error", object("{}")),
         "{\"event\":\"phx_reply\",\"payload\":{\"response\":{},\"status\":\"error\"},"
         "\"ref\":\"5\",\"topic\":\"t\"}");
}

/* C44, C54: sent even when the message's ref is null. */
static void reply_for_an_unmatched_topic(void **state)
{
    struct phx_payload why = object("{\"reason\":\"unmatched topic\"}");

    TEXT(reply(PHX_V2, null_ref, null_ref, text_topic("nosuch"), "error", why),
         "[null,null,\"nosuch\",\"phx_reply\","
         "{\"response\":{\"reason\":\"unmatched topic\"},\"status\":\"error\"}]");
    TEXT(reply(PHX_V1, null_ref, ref("\"14\""), text_topic("nosuch"), "error", why),
         "{\"event\":\"phx_reply\",\"payload\":{\"response\":{\"reason\":\"unmatched topic\"},"
         "\"status\":\"error\"},\"ref\":\"14\",\"topic\":\"nosuch\"}");
}

/* C31: a topic that is no string is echoed as it came. */
static void reply_to_a_topic_that_is_no_string(void **state)
{
    struct phx_topic topic = {.bytes = TK_SLICE("[5, \"\\u00e9\"]"), .is_json = true};

    TEXT(reply(PHX_V2, null_ref, ref("\"1\""), topic, "error", object("{}")),
         "[null,\"1\",[5, \"\\u00e9\"],\"phx_reply\",{\"response\":{},\"status\":\"error\"}]");
    TEXT(reply(PHX_V1, null_ref, ref("1"), topic, "error", object("{}")),
         "{\"event\":\"phx_reply\",\"payload\":{\"response\":{},\"status\":\"error\"},\"ref\":1,"
         "\"topic\":[5, \"\\u00e9\"]}");
}

/* C76 */
static void push_to_a_channel(void **state)
{
    TEXT(push(PHX_V2, ref("\"1\""), "notifications", "msg", object("{\"message\":\"hi\"}")),
         "[\"1\",null,\"notifications\",\"msg\",{\"message\":\"hi\"}]");
    TEXT(push(PHX_V1, ref("\"1\""), "notifications", "msg", object("{\"message\":\"hi\"}")),
         "{\"event\":\"msg\",\"payload\":{\"message\":\"hi\"},\"ref\":null,"
         "\"topic\":\"notifications\"}");
}

/* C75 */
static void broadcast_to_a_topic(void **state)
{
    TEXT(broadcast(PHX_V2, "notifications", "anything", object("{\"k\":1}")),
         "[null,null,\"notifications\",\"anything\",{\"k\":1}]");
    TEXT(broadcast(PHX_V1, "notifications", "collected-broadcast", object("{\"nickname\":\"a\"}")),
         "{\"event\":\"collected-broadcast\",\"payload\":{\"nickname\":\"a\"},\"ref\":null,"
         "\"topic\":\"notifications\"}");
}

/* C58, C61 */
static void end_of_a_channel(void **state)
{
    TEXT(end(PHX_V2, ref("\"1\""), "t", "phx_close", "{}"), "[\"1\",\"1\",\"t\",\"phx_close\",{}]");
    TEXT(end(PHX_V2, null_ref, "t", "phx_error", "{\"reason\":\"channel_crash\"}"),
         "[null,null,\"t\",\"phx_error\",{\"reason\":\"channel_crash\"}]");
    TEXT(end(PHX_V1, ref("\"20\""), "room:q", "phx_close", "{}"),
         "{\"event\":\"phx_close\",\"payload\":{},\"ref\":\"20\",\"topic\":\"room:q\"}");
    TEXT(end(PHX_V1, null_ref, "t", "phx_close", "{}"),
         "{\"event\":\"phx_close\",\"payload\":{},\"ref\":null,\"topic\":\"t\"}");
}

/*
 * Values
 */

/* C25: the token goes back as it came, on every kind of frame that carries one. */
static void refs_are_echoed_with_their_type(void **state)
{
    TEXT(reply(PHX_V2, ref("3"), ref("-1.50e2"), text_topic("t"), "ok", object("{}")),
         "[3,-1.50e2,\"t\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    TEXT(reply(PHX_V2, ref("\"\""), ref("\"\\u00e9\""), text_topic("t"), "ok", object("{}")),
         "[\"\",\"\\u00e9\",\"t\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]");
    TEXT(push(PHX_V2, ref("9007199254740993"), "t", "e", object("{}")),
         "[9007199254740993,null,\"t\",\"e\",{}]");
    TEXT(end(PHX_V1, ref("7"), "t", "phx_close", "{}"),
         "{\"event\":\"phx_close\",\"payload\":{},\"ref\":7,\"topic\":\"t\"}");
}

/* C28: only what JSON demands. */
static void topic_and_event_are_escaped(void **state)
{
    TEXT(broadcast(PHX_V2, "a\"\\/\n\x01\xc3\xa9", "e\"", object("{}")),
         "[null,null,\"a\\\"\\\\/\\n\\u0001\xc3\xa9\",\"e\\\"\",{}]");
    TEXT(broadcast(PHX_V1, "a\"", "e\t", object("{}")),
         "{\"event\":\"e\\t\",\"payload\":{},\"ref\":null,\"topic\":\"a\\\"\"}");
}

/* C29 */
static void payload_is_relayed_byte_for_byte(void **state)
{
    TEXT(broadcast(PHX_V2, "t", "e", object("{ \"n\":12345678901234567890123,\"s\":\"\\/\" }")),
         "[null,null,\"t\",\"e\",{ \"n\":12345678901234567890123,\"s\":\"\\/\" }]");
}

/* C27, C90: a response may be any value, the payload of other frames an object only. */
static void only_responses_may_be_no_object(void **state)
{
    TEXT(reply(PHX_V2, null_ref, null_ref, text_topic("t"), "ok", json(TK_JSON_ARRAY, "[1,2]")),
         "[null,null,\"t\",\"phx_reply\",{\"response\":[1,2],\"status\":\"ok\"}]");
    TEXT(reply(PHX_V1, null_ref, null_ref, text_topic("t"), "ok", json(TK_JSON_NULL, "null")),
         "{\"event\":\"phx_reply\",\"payload\":{\"response\":null,\"status\":\"ok\"},\"ref\":null,"
         "\"topic\":\"t\"}");
    assert_null(push(PHX_V2, null_ref, "t", "e", json(TK_JSON_NULL, "null")));
    assert_null(push(PHX_V1, null_ref, "t", "e", json(TK_JSON_STRING, "\"x\"")));
    assert_null(broadcast(PHX_V2, "t", "e", json(TK_JSON_ARRAY, "[]")));
    assert_null(broadcast(PHX_V1, "t", "e", json(TK_JSON_NUMBER, "1")));
}

/*
 * Binary
 */

/* C36 */
static void binary_frames_of_the_contract(void **state)
{
    BINARY(reply(PHX_V2, ref("\"3\""), ref("\"7\""), text_topic("notifications"), "ok",
                 binary(TK_SLICE("\1\2\3"))),
           "\x01\x01\x01\x0d\x02"
           "37notificationsok\x01\x02\x03");
    BINARY(push(PHX_V2, ref("\"3\""), "notifications", "bin", binary(TK_SLICE("\0\1"))),
           "\x00\x01\x0d\x03"
           "3notificationsbin\x00\x01");
    BINARY(broadcast(PHX_V2, "notifications", "shout", binary(TK_SLICE("\1\2"))),
           "\x02\x0d\x05"
           "notificationsshout\x01\x02");
}

static void binary_payload_may_be_empty(void **state)
{
    BINARY(broadcast(PHX_V2, "t", "e", binary(tk_slice(NULL, 0))), "\x02\x01\x01"
                                                                   "te");
}

/* C37 */
static void binary_refs_are_plain_text(void **state)
{
    struct phx_payload empty = binary(tk_slice(NULL, 0));

    BINARY(reply(PHX_V2, null_ref, ref("42"), text_topic("t"), "ok", empty), "\x01\x00\x02\x01\x02"
                                                                             "42tok");
    BINARY(reply(PHX_V2, ref("\"\""), ref("\"a\\\"\\u00e9\\n\""), text_topic("t"), "ok", empty),
           "\x01\x00\x05\x01\x02"
           "a\"\xc3\xa9\ntok");
    BINARY(push(PHX_V2, ref("-7"), "t", "e", empty), "\x00\x02\x01\x01"
                                                     "-7te");
}

/* C34 */
static void v1_carries_no_binary(void **state)
{
    struct phx_payload bytes = binary(TK_SLICE("\1"));

    assert_null(reply(PHX_V1, null_ref, null_ref, text_topic("t"), "ok", bytes));
    assert_null(push(PHX_V1, null_ref, "t", "e", bytes));
    assert_null(broadcast(PHX_V1, "t", "e", bytes));
}

/* C40 */
static void binary_fields_have_at_most_255_bytes(void **state)
{
    struct phx_payload bytes = binary(TK_SLICE("\1"));
    char fits[256], longer[257];

    snprintf(fits, sizeof(fits), "%0255d", 0);
    snprintf(longer, sizeof(longer), "%0256d", 0);
    struct frame *f = broadcast(PHX_V2, fits, fits, bytes);
    assert_non_null(f);
    assert_memory_equal(f->bytes + 4, "\x02\xff\xff", 3);
    frame_unref(f);

    assert_null(broadcast(PHX_V2, longer, "e", bytes));
    assert_null(broadcast(PHX_V2, "t", longer, bytes));
    assert_null(push(PHX_V2, null_ref, longer, "e", bytes));
    assert_null(push(PHX_V2, null_ref, "t", longer, bytes));
    assert_null(reply(PHX_V2, null_ref, null_ref, text_topic(longer), "ok", bytes));
    assert_null(reply(PHX_V2, null_ref, null_ref, text_topic("t"), longer, bytes));
    f = broadcast(PHX_V2, longer, "e", object("{}")); /* text has no such limit */
    assert_non_null(f);
    frame_unref(f);
}

static void binary_needs_a_topic_that_is_text(void **state)
{
    struct phx_topic five = {.bytes = TK_SLICE("5"), .is_json = true};

    assert_null(reply(PHX_V2, null_ref, null_ref, five, "ok", binary(TK_SLICE("\1"))));
}

/* Whatever phx_decode lets through as a ref can be sent back, in text and in binary. */
static void longest_ref_can_be_echoed(void **state)
{
    struct phx_msg msg;
    struct tk_buf scratch = {0};
    char text[400];

    snprintf(text, sizeof(text), "[\"%0253d\",null,\"t\",\"e\",{}]", 1);
    assert_int_equal(phx_decode(PHX_V2, false, tk_slice_str(text), &scratch, &msg), TK_OK);
    struct frame *f =
        reply(PHX_V2, msg.join_ref, msg.join_ref, text_topic("t"), "ok", binary(TK_SLICE("\1")));
    assert_non_null(f);
    assert_memory_equal(f->bytes + 4, "\x01\xfd\xfd\x01\x02", 5);
    frame_unref(f);
    tk_buf_fini(&scratch);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(heartbeat_reply),
        TEST(reply_of_a_channel),
        TEST(reply_for_an_unmatched_topic),
        TEST(reply_to_a_topic_that_is_no_string),
        TEST(push_to_a_channel),
        TEST(broadcast_to_a_topic),
        TEST(end_of_a_channel),
        TEST(refs_are_echoed_with_their_type),
        TEST(topic_and_event_are_escaped),
        TEST(payload_is_relayed_byte_for_byte),
        TEST(only_responses_may_be_no_object),
        TEST(binary_frames_of_the_contract),
        TEST(binary_payload_may_be_empty),
        TEST(binary_refs_are_plain_text),
        TEST(v1_carries_no_binary),
        TEST(binary_fields_have_at_most_255_bytes),
        TEST(binary_needs_a_topic_that_is_text),
        TEST(longest_ref_can_be_echoed),
    };
    return cmocka_run_group_tests_name("phx_encode", tests, NULL, NULL);
}
