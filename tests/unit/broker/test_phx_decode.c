/* SPDX-License-Identifier: MIT */
/* Client messages in both serializers: C25-C40, and what must be refused (C28-C33, C38). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/phoenix/phx_codec.h"

/* A message decoded from a heap copy of its exact size, so that ASan sees a read past the end. */
struct decoded {
    char *copy;
    struct tk_buf scratch;
    struct phx_msg msg;
    enum tk_err err;
};

static struct decoded decode(enum phx_vsn vsn, bool is_binary, struct tk_slice bytes)
{
    struct decoded d = {.copy = tk_xmalloc(bytes.len)};
    if (bytes.len > 0)
        memcpy(d.copy, bytes.ptr, bytes.len);
    tk_buf_append_str(&d.scratch, "left over from the message before");
    d.err = phx_decode(vsn, is_binary, tk_slice(d.copy, bytes.len), &d.scratch, &d.msg);
    return d;
}

static void done(struct decoded *d)
{
    tk_buf_fini(&d->scratch);
    free(d->copy);
}

static void expect_slice(struct tk_slice is, struct tk_slice should)
{
    if (!tk_slice_eq(is, should))
        fail_msg("\"%.*s\" is not \"%.*s\"", (int)is.len, is.ptr, (int)should.len, should.ptr);
}

/* What a message must decode to. */
struct expected {
    const char *join_ref, *ref; /* JSON tokens; "" for null */
    const char *topic, *event;
    const char *payload;
    enum tk_json_type type;
};

static void expect_text(enum phx_vsn vsn, const char *text, struct expected should)
{
    struct decoded d = decode(vsn, false, tk_slice_str(text));

    if (d.err)
        fail_msg("%s: %s", tk_strerror(d.err), text);
    expect_slice(d.msg.join_ref.json, tk_slice_str(should.join_ref));
    expect_slice(d.msg.ref.json, tk_slice_str(should.ref));
    expect_slice(d.msg.topic, tk_slice_str(should.topic));
    expect_slice(d.msg.event, tk_slice_str(should.event));
    expect_slice(d.msg.payload.bytes, tk_slice_str(should.payload));
    assert_int_equal(d.msg.payload.type, should.type);
    assert_false(d.msg.payload.is_binary);
    assert_true(d.msg.topic_is_string);
    done(&d);
}

#define V2(text, ...) expect_text(PHX_V2, text, (struct expected){__VA_ARGS__})
#define V1(text, ...) expect_text(PHX_V1, text, (struct expected){__VA_ARGS__})

static void expect_malformed(enum phx_vsn vsn, bool is_binary, struct tk_slice bytes)
{
    struct decoded d = decode(vsn, is_binary, bytes);
    if (d.err != TK_ESYNTAX)
        fail_msg("%s: %.*s", tk_strerror(d.err), (int)bytes.len, bytes.ptr);
    done(&d);
}

#define V2_MALFORMED(literal)     expect_malformed(PHX_V2, false, TK_SLICE(literal))
#define V1_MALFORMED(literal)     expect_malformed(PHX_V1, false, TK_SLICE(literal))
#define BINARY_MALFORMED(literal) expect_malformed(PHX_V2, true, TK_SLICE(literal))

/*
 * V2 text
 */

static void v2_examples_of_the_contract(void **state)
{
    V2("[\"3\",\"3\",\"notifications\",\"phx_join\",{}]", "\"3\"", "\"3\"", "notifications",
       "phx_join", "{}", TK_JSON_OBJECT);
    V2("[\"3\",\"5\",\"notifications\",\"ping\",{\"hello\":\"there\"}]", "\"3\"", "\"5\"",
       "notifications", "ping", "{\"hello\":\"there\"}", TK_JSON_OBJECT);
    V2("[null,\"9\",\"phoenix\",\"heartbeat\",{}]", "", "\"9\"", "phoenix", "heartbeat", "{}",
       TK_JSON_OBJECT);
}

/* C25 */
static void refs_keep_their_type_and_spelling(void **state)
{
    V2("[3,\"3\",\"t\",\"e\",{}]", "3", "\"3\"", "t", "e", "{}", TK_JSON_OBJECT);
    V2("[-1.50e2,9007199254740993,\"t\",\"e\",{}]", "-1.50e2", "9007199254740993", "t", "e", "{}",
       TK_JSON_OBJECT);
    V2("[\"a\\\\\\u00e9\",\"\",\"t\",\"e\",{}]", "\"a\\\\\\u00e9\"", "\"\"", "t", "e", "{}",
       TK_JSON_OBJECT);
    V2("[null,null,\"t\",\"e\",{}]", "", "", "t", "e", "{}", TK_JSON_OBJECT);
}

/* C25: "3" and 3 differ. */
static void refs_are_compared_strictly(void **state)
{
    struct phx_ref text = {TK_SLICE("\"3\"")}, number = {TK_SLICE("3")}, null = {{NULL, 0}};

    assert_true(phx_ref_eq(text, text));
    assert_false(phx_ref_eq(text, number));
    assert_false(phx_ref_eq(number, null));
    assert_true(phx_ref_is_null(null));
}

static void refs_of_other_types_are_malformed(void **state)
{
    V2_MALFORMED("[true,\"1\",\"t\",\"e\",{}]");
    V2_MALFORMED("[\"1\",false,\"t\",\"e\",{}]");
    V2_MALFORMED("[[],\"1\",\"t\",\"e\",{}]");
    V2_MALFORMED("[\"1\",{\"a\":1},\"t\",\"e\",{}]");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":[1]}");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\",\"join_ref\":{}}");
}

static void refs_have_at_most_255_bytes(void **state)
{
    char text[400];

    snprintf(text, sizeof(text), "[null,\"%0253d\",\"t\",\"e\",{}]", 1);
    struct decoded fits = decode(PHX_V2, false, tk_slice_str(text));
    assert_int_equal(fits.err, TK_OK);
    assert_int_equal(fits.msg.ref.json.len, PHX_REF_MAX);
    done(&fits);

    snprintf(text, sizeof(text), "[null,\"%0254d\",\"t\",\"e\",{}]", 1);
    expect_malformed(PHX_V2, false, tk_slice_str(text));
    snprintf(text, sizeof(text), "[1%0255d,null,\"t\",\"e\",{}]", 0);
    expect_malformed(PHX_V2, false, tk_slice_str(text));
}

/* C26 */
static void payloads_may_be_any_value(void **state)
{
    V2("[null,\"1\",\"t\",\"pong\",null]", "", "\"1\"", "t", "pong", "null", TK_JSON_NULL);
    V2("[null,\"1\",\"t\",\"e\",[1,2]]", "", "\"1\"", "t", "e", "[1,2]", TK_JSON_ARRAY);
    V2("[null,\"1\",\"t\",\"e\",\"text\"]", "", "\"1\"", "t", "e", "\"text\"", TK_JSON_STRING);
    V2("[null,\"1\",\"t\",\"e\",-0]", "", "\"1\"", "t", "e", "-0", TK_JSON_NUMBER);
    V2("[null,\"1\",\"t\",\"e\",true]", "", "\"1\"", "t", "e", "true", TK_JSON_TRUE);
    V2("[null,\"1\",\"t\",\"e\",false]", "", "\"1\"", "t", "e", "false", TK_JSON_FALSE);
}

/* C29: the bytes between the blanks around it, nothing rewritten. */
static void payload_is_carried_as_sent(void **state)
{
    V2("[null,\"1\",\"t\",\"e\", \n\t{ \"n\" : 12345678901234567890123, \"f\":1.10,"
       "\"s\":\"\\u0041\\/\\ud83d\\ude00\",\"n\":1 }\r ]",
       "", "\"1\"", "t", "e",
       "{ \"n\" : 12345678901234567890123, \"f\":1.10,"
       "\"s\":\"\\u0041\\/\\ud83d\\ude00\",\"n\":1 }",
       TK_JSON_OBJECT);
}

static void topic_and_event_are_decoded(void **state)
{
    V2("[null,null,\"room\\u003a\\\"1\\\"\",\"\\u0065\\n\",{}]", "", "", "room:\"1\"", "e\n", "{}",
       TK_JSON_OBJECT);
    V2("[null,null,\"r\\u00e9\",\"plain\",{}]", "", "", "r\xc3\xa9", "plain", "{}", TK_JSON_OBJECT);
    V1("{\"topic\":\"\\u0074\",\"event\":\"\\u0065\",\"payload\":{},\"ref\":null}", "", "", "t",
       "e", "{}", TK_JSON_OBJECT);
}

/* The first must stay where it is while the buffer takes the second. */
static void long_topic_and_event_share_the_scratch(void **state)
{
    char text[600], topic[101], event[151];

    snprintf(topic, sizeof(topic), "\t%099d", 1);
    snprintf(event, sizeof(event), "\t%0149d", 2);
    snprintf(text, sizeof(text), "[null,\"1\",\"\\t%s\",\"\\t%s\",{}]", topic + 1, event + 1);
    V2(text, "", "\"1\"", topic, event, "{}", TK_JSON_OBJECT);
}

static void plain_message_needs_no_memory(void **state)
{
    struct tk_buf scratch = {0};
    struct phx_msg msg;
    struct tk_slice v2 = TK_SLICE("[\"3\",\"5\",\"notifications\",\"ping\",{\"a\":\"\\u0041\"}]");
    struct tk_slice v1 = TK_SLICE("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":1}");

    assert_int_equal(phx_decode(PHX_V2, false, v2, &scratch, &msg), TK_OK);
    assert_int_equal(phx_decode(PHX_V1, false, v1, &scratch, &msg), TK_OK);
    assert_null(scratch.data);
}

/* C31 */
static void topic_that_is_no_string_is_kept_as_json(void **state)
{
    static const char *const topics[] = {"5", "null", "[1, 2]", "{\"a\":\"\\n\"}", "true"};
    char text[100];

    for (size_t i = 0; i < TK_ARRAY_LEN(topics); i++) {
        snprintf(text, sizeof(text), "[null,\"1\", %s ,\"e\",{}]", topics[i]);
        struct decoded d = decode(PHX_V2, false, tk_slice_str(text));
        assert_int_equal(d.err, TK_OK);
        assert_false(d.msg.topic_is_string);
        expect_slice(d.msg.topic, tk_slice_str(topics[i]));
        done(&d);
    }
}

static void elements_beyond_the_fifth_are_ignored(void **state)
{
    V2("[null,\"1\",\"t\",\"e\",{},6,[\"seven\"]]", "", "\"1\"", "t", "e", "{}", TK_JSON_OBJECT);
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{},tru]");
}

static void v2_of_another_shape_is_malformed(void **state)
{
    V2_MALFORMED("[]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\"]");
    V2_MALFORMED("{}");
    V2_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}");
    V2_MALFORMED("\"text\"");
    V2_MALFORMED("5");
    V2_MALFORMED("null");
    V2_MALFORMED("[null,\"1\",\"t\",5,{}]");
    V2_MALFORMED("[null,\"1\",\"t\",null,{}]");
    V2_MALFORMED("[null,\"1\",\"t\",[\"e\"],{}]");
}

/* C28, the same for both serializers. */
static void text_that_is_no_json_is_malformed(void **state)
{
    V2_MALFORMED("");
    V2_MALFORMED(" ");
    V2_MALFORMED("hello");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{}");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{}]x");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{}][]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{},]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{\"a\":\"\\ud800\"}]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{\"a\":\"\\udc00\\ud800\"}]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",1e999]");
    V2_MALFORMED("[null,1e999,\"t\",\"e\",{}]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",\"\x80\"]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",\"\xed\xa0\x80\"]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",\"\n\"]");
    V2_MALFORMED("[null,\"1\",\"t\",\"e\",{}]\0");
    V1_MALFORMED("");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"payload\":1e999,\"ref\":\"1\"}");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"payload\":\"\\udead\",\"ref\":\"1\"}");
}

static void blanks_around_are_accepted(void **state)
{
    V2("\n [ null , \"1\" , \"t\" , \"e\" , {} ] \r\n", "", "\"1\"", "t", "e", "{}",
       TK_JSON_OBJECT);
    V1(" {\"topic\":\"t\",\"event\":\"e\",\"payload\": [ ] ,\"ref\":\"1\"}\t", "", "\"1\"", "t",
       "e", "[ ]", TK_JSON_ARRAY);
}

/* Arrays in the payload, each depth deep inside the message's own. */
static enum tk_err decode_nested(size_t depth)
{
    struct tk_buf text = {0};
    tk_buf_append_str(&text, "[null,\"1\",\"t\",\"e\",");
    for (size_t i = 0; i < depth; i++)
        tk_buf_append_char(&text, '[');
    for (size_t i = 0; i < depth; i++)
        tk_buf_append_char(&text, ']');
    tk_buf_append_char(&text, ']');
    struct decoded d = decode(PHX_V2, false, tk_buf_slice(&text));
    enum tk_err err = d.err;
    done(&d);
    tk_buf_fini(&text);
    return err;
}

/* C28: at least 64, and bounded. */
static void nesting_is_bounded(void **state)
{
    assert_int_equal(decode_nested(64), TK_OK);
    assert_int_equal(decode_nested(127), TK_OK);
    assert_int_equal(decode_nested(128), TK_ESYNTAX);
    assert_int_equal(decode_nested(1000000), TK_ESYNTAX);
}

/*
 * V1
 */

static void v1_examples_of_the_contract(void **state)
{
    V1("{\"topic\":\"notifications\",\"event\":\"phx_join\",\"payload\":{},\"ref\":\"1\"}", "",
       "\"1\"", "notifications", "phx_join", "{}", TK_JSON_OBJECT);
    V1("{\"topic\":\"room:q\",\"event\":\"phx_leave\",\"payload\":{},\"ref\":\"22\","
       "\"join_ref\":\"20\"}",
       "\"20\"", "\"22\"", "room:q", "phx_leave", "{}", TK_JSON_OBJECT);
}

/* C32: present keys may be null. */
static void v1_values_may_be_null(void **state)
{
    V1("{\"topic\":\"t\",\"event\":\"e\",\"payload\":null,\"ref\":null,\"join_ref\":null}", "", "",
       "t", "e", "null", TK_JSON_NULL);
    struct decoded d = decode(
        PHX_V1, false, TK_SLICE("{\"topic\":null,\"event\":\"e\",\"payload\":{},\"ref\":3}"));
    assert_int_equal(d.err, TK_OK);
    assert_false(d.msg.topic_is_string);
    expect_slice(d.msg.topic, TK_SLICE("null"));
    done(&d);
}

static void v1_last_of_repeated_names_wins(void **state)
{
    V1("{\"topic\":\"a\",\"event\":\"e\",\"payload\":1,\"ref\":\"1\",\"payload\":{},\"topic\":"
       "\"t\"}",
       "", "\"1\"", "t", "e", "{}", TK_JSON_OBJECT);
}

static void v1_unknown_members_are_ignored(void **state)
{
    V1("{\"x\":[1],\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\",\"vsn\":2}", "",
       "\"1\"", "t", "e", "{}", TK_JSON_OBJECT);
}

static void v1_without_a_member_is_malformed(void **state)
{
    V1_MALFORMED("{\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}");
    V1_MALFORMED("{\"topic\":\"t\",\"payload\":{},\"ref\":\"1\"}");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"ref\":\"1\"}");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{}}");
    V1_MALFORMED("{}");
    V1_MALFORMED("[null,\"1\",\"t\",\"e\",{}]");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":null,\"payload\":{},\"ref\":\"1\"}");
    V1_MALFORMED("{\"topic\":\"t\",\"event\":7,\"payload\":{},\"ref\":\"1\"}");
}

/* C32: V1 parses whatever comes as JSON. */
static void v1_ignores_the_opcode(void **state)
{
    struct tk_slice text =
        TK_SLICE("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}");
    struct decoded d = decode(PHX_V1, true, text);

    assert_int_equal(d.err, TK_OK);
    assert_false(d.msg.payload.is_binary);
    done(&d);
    expect_malformed(PHX_V1, true, TK_SLICE("\0\1\1\1\00111te"));
}

/*
 * V2 binary
 */

/* C36 */
static void binary_push_of_the_contract(void **state)
{
    struct decoded d = decode(PHX_V2, true, TK_SLICE("\0\1\1\15\00337notificationsbin\1\2\3"));

    assert_int_equal(d.err, TK_OK);
    expect_slice(d.msg.join_ref.json, TK_SLICE("\"3\""));
    expect_slice(d.msg.ref.json, TK_SLICE("\"7\""));
    expect_slice(d.msg.topic, TK_SLICE("notifications"));
    expect_slice(d.msg.event, TK_SLICE("bin"));
    expect_slice(d.msg.payload.bytes, TK_SLICE("\x01\x02\x03"));
    assert_true(d.msg.payload.is_binary);
    assert_int_equal(d.msg.payload.type, TK_JSON_NONE);
    assert_true(d.msg.topic_is_string);
    done(&d);
}

/* C37: the empty string, not null; C39: any event, with any payload, an empty one included. */
static void binary_strings_may_be_empty(void **state)
{
    struct decoded d = decode(PHX_V2, true, TK_SLICE("\0\0\0\0\0"));

    assert_int_equal(d.err, TK_OK);
    expect_slice(d.msg.join_ref.json, TK_SLICE("\"\""));
    expect_slice(d.msg.ref.json, TK_SLICE("\"\""));
    assert_int_equal(d.msg.topic.len + d.msg.event.len + d.msg.payload.bytes.len, 0);
    done(&d);
}

static void binary_refs_become_json_strings(void **state)
{
    struct decoded d = decode(PHX_V2, true, TK_SLICE("\0\4\3\1\001a\"\\\001\303\251\nte"));

    assert_int_equal(d.err, TK_OK);
    expect_slice(d.msg.join_ref.json, TK_SLICE("\"a\\\"\\\\\\u0001\""));
    expect_slice(d.msg.ref.json, TK_SLICE("\"\xc3\xa9\\n\""));
    done(&d);
}

static void long_binary_refs_share_the_scratch(void **state)
{
    char bytes[5 + 200 + 1], token[100 + 2 + 1];

    snprintf(bytes + 5, sizeof(bytes) - 5, "%0100d%0100d", 1, 2);
    memcpy(bytes, "\0\144\144\0\0", 5);
    struct decoded d = decode(PHX_V2, true, tk_slice(bytes, 5 + 200));

    assert_int_equal(d.err, TK_OK);
    snprintf(token, sizeof(token), "\"%0100d\"", 1);
    expect_slice(d.msg.join_ref.json, tk_slice_str(token));
    snprintf(token, sizeof(token), "\"%0100d\"", 2);
    expect_slice(d.msg.ref.json, tk_slice_str(token));
    done(&d);
}

/* A binary push with a ref of this many bytes, all of them c. */
static enum tk_err decode_binary_ref(size_t len, char c)
{
    struct tk_buf bytes = {0};
    tk_buf_append(&bytes, "\0\0", 2);
    tk_buf_append_char(&bytes, (char)len);
    tk_buf_append(&bytes, "\0\0", 2);
    for (size_t i = 0; i < len; i++)
        tk_buf_append_char(&bytes, c);
    struct decoded d = decode(PHX_V2, true, tk_buf_slice(&bytes));
    enum tk_err err = d.err;
    done(&d);
    tk_buf_fini(&bytes);
    return err;
}

static void binary_refs_are_bounded_as_tokens(void **state)
{
    assert_int_equal(decode_binary_ref(253, '7'), TK_OK);
    assert_int_equal(decode_binary_ref(254, '7'), TK_ESYNTAX);
    assert_int_equal(decode_binary_ref(255, '7'), TK_ESYNTAX);
    assert_int_equal(decode_binary_ref(255, '\1'), TK_ESYNTAX);
}

/* C38 */
static void malformed_binary(void **state)
{
    BINARY_MALFORMED("");
    BINARY_MALFORMED("\0");
    BINARY_MALFORMED("\0\0\0\0");
    BINARY_MALFORMED("\1\1\1\1\00111te"); /* a reply */
    BINARY_MALFORMED("\2\1\001te");       /* a broadcast */
    BINARY_MALFORMED("\3\1\1\1\00111te");
    BINARY_MALFORMED("\377\1\1\1\00111te");
    BINARY_MALFORMED("\0\1\1\1\00111t"); /* the event is beyond the end */
    BINARY_MALFORMED("\0\377\1\1\00111te");
    BINARY_MALFORMED("\0\1\1\377\37711te");
    BINARY_MALFORMED("[null,\"1\",\"t\",\"e\",{}]"); /* text with the binary opcode */
}

static void binary_strings_must_be_utf8(void **state)
{
    BINARY_MALFORMED("\0\1\1\1\001\3771te");
    BINARY_MALFORMED("\0\1\1\1\0011\377te");
    BINARY_MALFORMED("\0\1\1\1\00111\351e"); /* C40: a truncated UTF-16 unit */
    BINARY_MALFORMED("\0\1\1\1\00111t\303");
    struct decoded d = decode(PHX_V2, true, TK_SLICE("\0\1\1\2\00111\303\251e\377"));
    assert_int_equal(d.err, TK_OK); /* the payload may hold anything */
    done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v2_examples_of_the_contract),
        cmocka_unit_test(refs_keep_their_type_and_spelling),
        cmocka_unit_test(refs_are_compared_strictly),
        cmocka_unit_test(refs_of_other_types_are_malformed),
        cmocka_unit_test(refs_have_at_most_255_bytes),
        cmocka_unit_test(payloads_may_be_any_value),
        cmocka_unit_test(payload_is_carried_as_sent),
        cmocka_unit_test(topic_and_event_are_decoded),
        cmocka_unit_test(long_topic_and_event_share_the_scratch),
        cmocka_unit_test(plain_message_needs_no_memory),
        cmocka_unit_test(topic_that_is_no_string_is_kept_as_json),
        cmocka_unit_test(elements_beyond_the_fifth_are_ignored),
        cmocka_unit_test(v2_of_another_shape_is_malformed),
        cmocka_unit_test(text_that_is_no_json_is_malformed),
        cmocka_unit_test(blanks_around_are_accepted),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(v1_examples_of_the_contract),
        cmocka_unit_test(v1_values_may_be_null),
        cmocka_unit_test(v1_last_of_repeated_names_wins),
        cmocka_unit_test(v1_unknown_members_are_ignored),
        cmocka_unit_test(v1_without_a_member_is_malformed),
        cmocka_unit_test(v1_ignores_the_opcode),
        cmocka_unit_test(binary_push_of_the_contract),
        cmocka_unit_test(binary_strings_may_be_empty),
        cmocka_unit_test(binary_refs_become_json_strings),
        cmocka_unit_test(long_binary_refs_share_the_scratch),
        cmocka_unit_test(binary_refs_are_bounded_as_tokens),
        cmocka_unit_test(malformed_binary),
        cmocka_unit_test(binary_strings_must_be_utf8),
    };
    return cmocka_run_group_tests_name("phx_decode", tests, NULL, NULL);
}
