/* SPDX-License-Identifier: MIT */
/* The JSON scanner: RFC 8259 case by case, H30-H32 and C28-C32. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/tk_json.h"

static const struct tk_json_rules plain = {.max_depth = TK_JSON_MAX_DEPTH};
static const struct tk_json_rules frame_rules = {.max_depth = 64, .refuse_huge_numbers = true};
static const struct tk_json_rules body_rules = {.max_depth = 32, .refuse_duplicate_names = true};

/*
 * The text is scanned from a heap copy of its exact size, so that ASan sees a read past the end.
 */
static enum tk_err scan_copy(struct tk_slice text, const struct tk_json_rules *rules,
                             struct tk_json_value *value, size_t *offset)
{
    char *copy = malloc(text.len > 0 ? text.len : 1);
    assert_non_null(copy);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    enum tk_err err = tk_json_scan(tk_slice(copy, text.len), rules, value, offset);
    if (!err)
        value->raw.ptr = text.ptr + (value->raw.ptr - copy);
    free(copy);
    return err;
}

static void expect_valid(struct tk_slice text, enum tk_json_type type)
{
    struct tk_json_value value;
    enum tk_err err = scan_copy(text, &plain, &value, NULL);

    if (err != TK_OK)
        fail_msg("refused: %.*s", (int)text.len, text.ptr);
    assert_int_equal(value.type, type);
}

static void expect_error_at(struct tk_slice text, size_t offset)
{
    struct tk_json_value value;
    size_t found = SIZE_MAX;
    enum tk_err err = scan_copy(text, &plain, &value, &found);

    if (err != TK_ESYNTAX)
        fail_msg("%s: %.*s", tk_strerror(err), (int)text.len, text.ptr);
    if (found != offset)
        fail_msg("offset %zu, not %zu: %.*s", found, offset, (int)text.len, text.ptr);
}

#define VALID(literal, type)    expect_valid(TK_SLICE(literal), type)
#define INVALID(literal, where) expect_error_at(TK_SLICE(literal), where)

static void scalars_are_accepted(void **state)
{
    VALID("null", TK_JSON_NULL);
    VALID("true", TK_JSON_TRUE);
    VALID("false", TK_JSON_FALSE);
    VALID(" \t\r\n0 \t\r\n", TK_JSON_NUMBER);
    VALID("-0", TK_JSON_NUMBER);
    VALID("-0.0", TK_JSON_NUMBER);
    VALID("1E22", TK_JSON_NUMBER);
    VALID("1e-2", TK_JSON_NUMBER);
    VALID("1e+2", TK_JSON_NUMBER);
    VALID("123.456e78", TK_JSON_NUMBER);
    VALID("18446744073709551616", TK_JSON_NUMBER);
    VALID("-9223372036854775809", TK_JSON_NUMBER);
    VALID("1e999", TK_JSON_NUMBER); /* refused only when asked */
    VALID("\"\"", TK_JSON_STRING);
    VALID("\"asd\x7f\"", TK_JSON_STRING);
}

static void containers_are_accepted(void **state)
{
    VALID("[]", TK_JSON_ARRAY);
    VALID("[ ]", TK_JSON_ARRAY);
    VALID("[[] , {}]", TK_JSON_ARRAY);
    VALID("[null,1,\"1\",{\"a\":[]}]", TK_JSON_ARRAY);
    VALID("{}", TK_JSON_OBJECT);
    VALID("{ }", TK_JSON_OBJECT);
    VALID("{\"\":0}", TK_JSON_OBJECT);
    VALID("{\"a\":\"b\",\"a\":\"c\"}", TK_JSON_OBJECT); /* C28 */
    VALID("{ \"a\" : { \"b\" : [ 1 , 2 ] } , \"c\" : null }", TK_JSON_OBJECT);
    VALID("{\"foo\\u0000bar\": 42}", TK_JSON_OBJECT);
}

static void strings_are_accepted(void **state)
{
    VALID("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TK_JSON_STRING);
    VALID("\"\\u0060\\u012a\\u12AB\"", TK_JSON_STRING);
    VALID("\"\\uD801\\udc37\"", TK_JSON_STRING);
    VALID("\"\\udbff\\udfff\"", TK_JSON_STRING);
    VALID("\"\\ud83d\\ude39\\ud83d\\udc8d\"", TK_JSON_STRING);
    VALID("\"\\uFFFF\\uFDD0\"", TK_JSON_STRING);   /* noncharacters are characters here */
    VALID("\"\xEF\xBF\xBF\"", TK_JSON_STRING);     /* U+FFFF */
    VALID("\"\xC2\x80\"", TK_JSON_STRING);         /* the first of two bytes */
    VALID("\"\xE0\xA0\x80\"", TK_JSON_STRING);     /* of three */
    VALID("\"\xED\x9F\xBF\"", TK_JSON_STRING);     /* U+D7FF */
    VALID("\"\xEE\x80\x80\"", TK_JSON_STRING);     /* U+E000 */
    VALID("\"\xF0\x90\x80\x80\"", TK_JSON_STRING); /* the first of four */
    VALID("\"\xF4\x8F\xBF\xBF\"", TK_JSON_STRING); /* U+10FFFF */
    VALID("\"\xE2\x80\xA8\xE2\x80\xA9\"", TK_JSON_STRING);
}

/* H31: everything json-c 0.16 lets through in its strict mode. */
static void what_json_c_accepts_wrongly_is_refused(void **state)
{
    INVALID("'single quotes'", 0);
    INVALID("{'a':1}", 1);
    INVALID("NaN", 0);
    INVALID("nan", 1);
    INVALID("Infinity", 0);
    INVALID("-Infinity", 1);
    INVALID("\"a\nb\"", 2);
    INVALID("\"a\tb\"", 2);
    INVALID("\"a\0b\"", 2);
    INVALID("\"\x1f\"", 1);
    INVALID("\"\xC0\xAF\"", 1);     /* overlong */
    INVALID("\"\xED\xA0\x80\"", 1); /* a surrogate in UTF-8 */
    INVALID("\"\\ud800\"", 1);
    INVALID("[\"\\ud800\"]", 2);
}

static void invalid_utf8_is_refused(void **state)
{
    INVALID("\"\x80\"", 1);
    INVALID("\"\xFF\"", 1);
    INVALID("\"\xC1\xBF\"", 1);
    INVALID("\"\xE0\x9F\xBF\"", 1);
    INVALID("\"\xED\xBF\xBF\"", 1);
    INVALID("\"\xF0\x8F\xBF\xBF\"", 1);
    INVALID("\"\xF4\x90\x80\x80\"", 1);
    INVALID("\"\xF5\x80\x80\x80\"", 1);
    INVALID("\"\xFC\x83\xBF\xBF\xBF\xBF\"", 1);
    INVALID("\"ab\xE2\x82\"", 3);
    INVALID("\"ab\xE2\x82", 3); /* cut within a character, at the very end */
    INVALID("\"\xE2\x82\xAC\xE2\"", 4);
    INVALID("\xEF\xBB\xBF{}", 0); /* a byte order mark */
    INVALID("\xFF\xFE[\0]\0", 0);
    INVALID("\xC2\xA0[]", 0); /* a no-break space is no blank */
}

static void bad_strings_are_refused(void **state)
{
    INVALID("\"", 1);
    INVALID("\"abc", 4);
    INVALID("\"abcdefghijklmnop", 17);
    INVALID("\"\\", 2);
    INVALID("\"\\\"", 3);
    INVALID("\"\\x00\"", 2);
    INVALID("\"\\a\"", 2);
    INVALID("\"\\'\"", 2);
    INVALID("\"\\U0041\"", 2);
    INVALID("\"\\u\"", 3);
    INVALID("\"\\u00A\"", 6);
    INVALID("\"\\u00g0\"", 5);
    INVALID("\"\\u12", 5);
    INVALID("\"\\udc00\"", 1);
    INVALID("\"\\uDFFF\\uD800\"", 1);
    INVALID("\"\\ud800\\n\"", 1);
    INVALID("\"\\ud800\\u0041\"", 1);
    INVALID("\"\\ud800\\udbff\"", 1);
    INVALID("\"\\ud800\\ue000\"", 1);
    INVALID("\"\\ud800\\ud800\\udc00\"", 1);
    INVALID("\"\\ud800\\u12\"", 11);
    INVALID("\"\\ud800\\u", 9);
    INVALID("\"\\ud800\\", 1);
}

static void bad_numbers_are_refused(void **state)
{
    INVALID("-", 1);
    INVALID("+1", 0);
    INVALID(".5", 0);
    INVALID("-.5", 1);
    INVALID("01", 1);
    INVALID("-01", 2);
    INVALID("1.", 2);
    INVALID("1.e1", 2);
    INVALID("1e", 2);
    INVALID("1e+", 3);
    INVALID("1e1.0", 3);
    INVALID("1.2.3", 3);
    INVALID("0x1", 1);
    INVALID("1_000", 1);
    INVALID("1 000", 2);
    INVALID("--1", 1);
    INVALID("\xEF\xBC\x91", 0); /* full-width one */
}

static void bad_structure_is_refused(void **state)
{
    INVALID("", 0);
    INVALID("   ", 3);
    INVALID("[", 1);
    INVALID("]", 0);
    INVALID("[1", 2);
    INVALID("[1,", 3);
    INVALID("[1,]", 3);
    INVALID("[,1]", 1);
    INVALID("[1 2]", 3);
    INVALID("[1}", 2);
    INVALID("[]]", 2);
    INVALID("{", 1);
    INVALID("{\"a\"", 4);
    INVALID("{\"a\"}", 4);
    INVALID("{\"a\":", 5);
    INVALID("{\"a\":}", 5);
    INVALID("{\"a\":1", 6);
    INVALID("{\"a\":1,", 7);
    INVALID("{\"a\":1,}", 7);
    INVALID("{\"a\" 1}", 5);
    INVALID("{a:1}", 1);
    INVALID("{1:1}", 1);
    INVALID("{\"a\":1]", 6);
    INVALID("{}{}", 2);
    INVALID("1 2", 2);
    INVALID("tru", 3);
    INVALID("True", 0);
    INVALID("nulll", 4);
    INVALID("[1]// comment", 3);
    INVALID("/**/[1]", 0);
    INVALID("[1]\0", 3);
    INVALID("\f[]", 0);
    INVALID("undefined", 0);
}

/* Every byte that is not part of the grammar must stop the scan, alone and inside containers. */
static void truncation_of_a_valid_text_is_refused(void **state)
{
    const struct tk_slice text = TK_SLICE(
        "[null,\"1\",\"r\\u00e9\\ud83d\\ude39\",{\"a\":[-1.5e+3,{}],\"\xE2\x82\xAC\":true}]");

    expect_valid(text, TK_JSON_ARRAY);
    for (size_t len = 0; len < text.len; len++) {
        struct tk_json_value value;
        size_t offset;
        assert_int_equal(scan_copy(tk_slice(text.ptr, len), &plain, &value, &offset), TK_ESYNTAX);
        assert_true(offset <= len);
    }
}

/* The fast path looks at eight bytes at a time: a special byte must be seen at each place. */
static void special_bytes_are_seen_at_every_position(void **state)
{
    static const unsigned char bad[] = {0x00, 0x01, 0x1f, 0x80, 0xff};
    char text[64];

    for (size_t len = 3; len < sizeof(text); len++) {
        for (size_t at = 1; at + 1 < len; at++) {
            memset(text, 'a', len);
            text[0] = text[len - 1] = '"';
            for (size_t i = 0; i < sizeof(bad); i++) {
                text[at] = (char)bad[i];
                expect_error_at(tk_slice(text, len), at);
            }
            text[at] = '"';
            expect_error_at(tk_slice(text, len), at + 1);
            text[at] = '\x7f';
            expect_valid(tk_slice(text, len), TK_JSON_STRING);
        }
    }
}

static void the_value_is_sliced_without_blanks(void **state)
{
    struct tk_json_value value;

    assert_int_equal(tk_json_scan(TK_SLICE(" { \"a\" : 1 }\n"), &plain, &value, NULL), TK_OK);
    assert_true(tk_slice_eq_str(value.raw, "{ \"a\" : 1 }"));
    assert_int_equal(tk_json_scan(TK_SLICE("\t\"a\\n\" "), &plain, &value, NULL), TK_OK);
    assert_true(tk_slice_eq_str(value.raw, "\"a\\n\""));
    assert_true(value.has_escapes);
    assert_int_equal(tk_json_scan(TK_SLICE("[\"a\\n\"]"), &plain, &value, NULL), TK_OK);
    assert_false(value.has_escapes);
}

/* depth brackets, alternating between arrays and objects so that every bit of the stack matters. */
static void nest(struct tk_buf *text, unsigned depth)
{
    tk_buf_clear(text);
    for (unsigned i = 0; i < depth; i++)
        tk_buf_append_str(text, i % 3 == 1 ? "{\"a\":" : "[");
    tk_buf_append_str(text, "1");
    for (unsigned i = depth; i-- > 0;)
        tk_buf_append_str(text, i % 3 == 1 ? "}" : "]");
}

static void depth_is_bounded(void **state)
{
    static const unsigned limits[] = {1, 2, 32, 63, 64, 65, 511, TK_JSON_MAX_DEPTH};
    struct tk_buf text = {0};
    struct tk_json_value value;

    for (size_t i = 0; i < TK_ARRAY_LEN(limits); i++) {
        struct tk_json_rules rules = {.max_depth = limits[i]};
        nest(&text, limits[i]);
        assert_int_equal(tk_json_scan(tk_buf_slice(&text), &rules, &value, NULL), TK_OK);
        nest(&text, limits[i] + 1);
        assert_int_equal(tk_json_scan(tk_buf_slice(&text), &rules, &value, NULL), TK_ELIMIT);
    }
    tk_buf_fini(&text);
}

static void depth_counts_what_is_open_not_what_there_was(void **state)
{
    const struct tk_json_rules rules = {.max_depth = 2};
    struct tk_json_value value;
    size_t offset = 0;

    assert_int_equal(tk_json_scan(TK_SLICE("[[],{},[[]]]"), &rules, &value, &offset), TK_ELIMIT);
    assert_int_equal(offset, 8);
    assert_int_equal(tk_json_scan(TK_SLICE("[[],{},[1],{\"a\":2}]"), &rules, &value, NULL), TK_OK);
}

static void a_hundred_thousand_brackets_are_refused_quickly(void **state)
{
    struct tk_buf text = {0};
    struct tk_json_value value;

    for (int i = 0; i < 100000; i++)
        tk_buf_append_char(&text, '[');
    assert_int_equal(tk_json_scan(tk_buf_slice(&text), &plain, &value, NULL), TK_ELIMIT);
    tk_buf_fini(&text);
}

/* 2^1024 - 2^970 without its last three digits, 792: halfway to infinity, and rounded up. */
#define HALFWAY_HEAD                                                                               \
    "1.797693134862315807937289714053034150799341327100378269361737789804449682927647509466"       \
    "49017977587207096330286416692887910946555547851940402630657488671505820681908902000708"       \
    "38367627385484581771153176447573027006985557136695962284291481986083493647529271907416"       \
    "8444365510704342711559699508093042880177904174497"

/* C28. strtod says what is infinite; the scanner must agree, digit by digit around the limit. */
static void huge_numbers_are_refused_when_asked(void **state)
{
    static const char *const numbers[] = {
        "1e999",
        "-1e999",
        "1e309",
        "1e308",
        "-1e308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "0.17976931348623159e309",
        "17976931348623159e292",
        "179769313486231570e291",
        "0e999",
        "0.000e99999",
        "-0E+400",
        "1e-999",
        "0.0000000000000000000000000001e336",
        "0.0000000000000000000000000001e337",
        "1e99999999999999999999999999",
        "1e-99999999999999999999999999",
        "123456789012345678901",
        "1e0000000000000000000000000000000308",
        "1e0000000000000000000000000000000309",
        "9999999999999999e292",
        "9999999999999999e293",
        "9999999999999999e294",
        HALFWAY_HEAD "792e308",
        HALFWAY_HEAD "791999e308",
        HALFWAY_HEAD "7920001e308",
        "1.79769313486231580793728971405303415079934132710037826936173778980444968292764750946e308",
        "1.79769313486231580793728971405303415079934132710037826936173778980444968292764750947e308",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(numbers); i++) {
        struct tk_json_value value;
        bool infinite = isinf(strtod(numbers[i], NULL));
        enum tk_err err = scan_copy(tk_slice_str(numbers[i]), &frame_rules, &value, NULL);
        if (err != (infinite ? TK_ESYNTAX : TK_OK))
            fail_msg("%s: %s", numbers[i], tk_strerror(err));
    }
}

static void long_integers_are_judged_like_strtod(void **state)
{
    struct tk_buf text = {0};
    struct tk_json_value value;

    for (size_t digits = 300; digits <= 320; digits++) {
        for (int first = '1'; first <= '9'; first++) {
            tk_buf_clear(&text);
            tk_buf_append_char(&text, (char)first);
            while (text.len < digits)
                tk_buf_append_char(&text, '7');
            bool infinite = isinf(strtod(tk_buf_str(&text), NULL));
            assert_int_equal(tk_json_scan(tk_buf_slice(&text), &frame_rules, &value, NULL),
                             infinite ? TK_ESYNTAX : TK_OK);
        }
    }
    tk_buf_fini(&text);
}

static void a_huge_number_is_found_inside_a_payload(void **state)
{
    struct tk_json_value value;
    size_t offset = 0;

    assert_int_equal(tk_json_scan(TK_SLICE("{\"a\":[1, 1e400]}"), &frame_rules, &value, &offset),
                     TK_ESYNTAX);
    assert_int_equal(offset, 9);
}

static void expect_duplicate(struct tk_slice text, size_t offset)
{
    struct tk_json_value value;
    size_t found = SIZE_MAX;

    assert_int_equal(tk_json_scan(text, &plain, &value, NULL), TK_OK);
    assert_int_equal(scan_copy(text, &body_rules, &value, &found), TK_ESYNTAX);
    assert_int_equal(found, offset);
}

static void duplicate_names_are_refused_when_asked(void **state)
{
    expect_duplicate(TK_SLICE("{\"a\":1,\"a\":2}"), 7);
    expect_duplicate(TK_SLICE("{\"a\":1,\"b\":2,\"\\u0061\":3}"), 13);
    expect_duplicate(TK_SLICE("{\"\\u0061\":1,\"\\u0061\":3}"), 12);
    expect_duplicate(TK_SLICE("{\"\":1,\"\":2}"), 6);
    expect_duplicate(TK_SLICE("[{\"a\":{\"x\":1,\"y\":2,\"x\":3}}]"), 19);
    expect_duplicate(TK_SLICE("{\"a\":{\"x\":1},\"b\":[{\"x\":1}],\"a\":{}}"), 27);
    expect_duplicate(TK_SLICE("{\"b\":1,\"a\":2,\"b\":3,\"a\":4}"), 13);
    expect_duplicate(TK_SLICE("{\"\\ud83d\\ude39\":1,\"\xF0\x9F\x98\xB9\":2}"), 18);
}

static void names_repeat_only_within_one_object(void **state)
{
    static const char *const texts[] = {
        "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}",
        "[{\"a\":1},{\"a\":2}]",
        "{\"a\":1,\"A\":2,\"aa\":3,\"\":4,\"a\\u0000\":5}",
        "{\"a\":{},\"b\":{\"a\":{},\"b\":{}}}",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(texts); i++) {
        struct tk_json_value value;
        assert_int_equal(scan_copy(tk_slice_str(texts[i]), &body_rules, &value, NULL), TK_OK);
    }
}

/* As many names as a body of 64 KiB can hold, with escapes so that every one is decoded. */
static void many_names_are_checked_in_bounded_time(void **state)
{
    struct tk_buf text = {0};
    struct tk_json_value value;

    tk_buf_append_char(&text, '{');
    for (unsigned i = 0; i < 13000; i++)
        tk_buf_appendf(&text, "\"\\n%x\":1,", i);
    size_t last = text.len;
    tk_buf_append_str(&text, "\"last\":1}");
    assert_int_equal(tk_json_scan(tk_buf_slice(&text), &body_rules, &value, NULL), TK_OK);

    text.len = last;
    tk_buf_append_str(&text, "\"\\u000a0\":1}");
    size_t offset = 0;
    assert_int_equal(tk_json_scan(tk_buf_slice(&text), &body_rules, &value, &offset), TK_ESYNTAX);
    assert_int_equal(offset, last);
    tk_buf_fini(&text);
}

static void an_error_inside_open_objects_frees_the_names(void **state)
{
    struct tk_json_value value;

    INVALID("{\"a\":{\"b\\n\":{\"c\":", 17);
    assert_int_equal(scan_copy(TK_SLICE("{\"a\":{\"b\\n\":{\"c\":"), &body_rules, &value, NULL),
                     TK_ESYNTAX);
}

/* C31 */
static void array_elements_are_sliced(void **state)
{
    struct tk_json_value items[5];
    size_t count = 0;
    const struct tk_slice text =
        TK_SLICE(" [ null , \"5\",\"room:\\u0031\", \"shout\" ,{\"a\" : [1, 2]} ] ");

    assert_int_equal(tk_json_scan_array(text, &frame_rules, items, 5, &count), TK_OK);
    assert_int_equal(count, 5);
    assert_int_equal(items[0].type, TK_JSON_NULL);
    assert_true(tk_slice_eq_str(items[1].raw, "\"5\""));
    assert_false(items[1].has_escapes);
    assert_true(tk_slice_eq_str(items[2].raw, "\"room:\\u0031\""));
    assert_true(items[2].has_escapes);
    assert_int_equal(items[4].type, TK_JSON_OBJECT);
    assert_true(tk_slice_eq_str(items[4].raw, "{\"a\" : [1, 2]}"));
}

static void elements_beyond_the_capacity_are_counted_and_checked(void **state)
{
    struct tk_json_value items[2];
    size_t count = 0;

    assert_int_equal(tk_json_scan_array(TK_SLICE("[1,2,[3],{}]"), &plain, items, 2, &count), TK_OK);
    assert_int_equal(count, 4);
    assert_true(tk_slice_eq_str(items[1].raw, "2"));
    assert_int_equal(tk_json_scan_array(TK_SLICE("[]"), &plain, items, 2, &count), TK_OK);
    assert_int_equal(count, 0);
    assert_int_equal(tk_json_scan_array(TK_SLICE("[1,2,3,tru]"), &plain, items, 2, &count),
                     TK_ESYNTAX);
    assert_int_equal(tk_json_scan_array(TK_SLICE("[1] 2"), &plain, items, 2, &count), TK_ESYNTAX);
}

static void what_is_no_array_is_told_from_what_is_no_json(void **state)
{
    struct tk_json_value items[1];
    size_t count;

    assert_int_equal(tk_json_scan_array(TK_SLICE("{}"), &plain, items, 1, &count), TK_EINVAL);
    assert_int_equal(tk_json_scan_array(TK_SLICE("1"), &plain, items, 1, &count), TK_EINVAL);
    assert_int_equal(tk_json_scan_array(TK_SLICE("{"), &plain, items, 1, &count), TK_ESYNTAX);
    assert_int_equal(tk_json_scan_array(tk_slice(NULL, 0), &plain, items, 1, &count), TK_ESYNTAX);
}

static void depth_is_bounded_inside_arrays_and_objects(void **state)
{
    const struct tk_json_rules rules = {.max_depth = 2};
    struct tk_json_value items[1];
    struct tk_json_field field = {.name = "a"};
    size_t count;

    assert_int_equal(tk_json_scan_array(TK_SLICE("[[]]"), &rules, items, 1, &count), TK_OK);
    assert_int_equal(tk_json_scan_array(TK_SLICE("[[[]]]"), &rules, items, 1, &count), TK_ELIMIT);
    assert_int_equal(tk_json_scan_object(TK_SLICE("{\"a\":[{}]}"), &rules, &field, 1), TK_ELIMIT);
}

/* C32 */
static void object_members_are_picked(void **state)
{
    struct tk_json_field fields[] = {{.name = "topic"}, {.name = "event"}, {.name = "join_ref"}};

    assert_int_equal(tk_json_scan_object(TK_SLICE("{\"event\":\"a\", \"x\":{\"topic\":7}, "
                                                  "\"topic\" : \"first\",\"topic\":[1]}"),
                                         &plain, fields, 3),
                     TK_OK);
    assert_true(tk_slice_eq_str(fields[0].value.raw, "[1]")); /* C28: the last wins */
    assert_true(tk_slice_eq_str(fields[1].value.raw, "\"a\""));
    assert_int_equal(fields[2].value.type, TK_JSON_NONE);
}

static void names_with_escapes_are_compared_decoded(void **state)
{
    struct tk_json_field fields[] = {{.name = "ref"}};

    assert_int_equal(
        tk_json_scan_object(TK_SLICE("{\"\\u0072ef\":1,\"ref\\u0000\":2}"), &plain, fields, 1),
        TK_OK);
    assert_true(tk_slice_eq_str(fields[0].value.raw, "1"));
}

static void what_is_no_object_is_told_from_what_is_no_json(void **state)
{
    struct tk_json_field field = {.name = "a"};

    assert_int_equal(tk_json_scan_object(TK_SLICE("[1]"), &plain, &field, 1), TK_EINVAL);
    assert_int_equal(tk_json_scan_object(TK_SLICE("[1"), &plain, &field, 1), TK_ESYNTAX);
    assert_int_equal(tk_json_scan_object(TK_SLICE("{\"a\":1}x"), &plain, &field, 1), TK_ESYNTAX);
    assert_int_equal(tk_json_scan_object(TK_SLICE("{\"a\":1,\"a\":1}"), &body_rules, &field, 1),
                     TK_ESYNTAX);
    assert_int_equal(tk_json_scan_object(TK_SLICE("{}"), &plain, &field, 1), TK_OK);
    assert_int_equal(field.value.type, TK_JSON_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_accepted),
        cmocka_unit_test(containers_are_accepted),
        cmocka_unit_test(strings_are_accepted),
        cmocka_unit_test(what_json_c_accepts_wrongly_is_refused),
        cmocka_unit_test(invalid_utf8_is_refused),
        cmocka_unit_test(bad_strings_are_refused),
        cmocka_unit_test(bad_numbers_are_refused),
        cmocka_unit_test(bad_structure_is_refused),
        cmocka_unit_test(truncation_of_a_valid_text_is_refused),
        cmocka_unit_test(special_bytes_are_seen_at_every_position),
        cmocka_unit_test(the_value_is_sliced_without_blanks),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(depth_counts_what_is_open_not_what_there_was),
        cmocka_unit_test(a_hundred_thousand_brackets_are_refused_quickly),
        cmocka_unit_test(huge_numbers_are_refused_when_asked),
        cmocka_unit_test(long_integers_are_judged_like_strtod),
        cmocka_unit_test(a_huge_number_is_found_inside_a_payload),
        cmocka_unit_test(duplicate_names_are_refused_when_asked),
        cmocka_unit_test(names_repeat_only_within_one_object),
        cmocka_unit_test(many_names_are_checked_in_bounded_time),
        cmocka_unit_test(an_error_inside_open_objects_frees_the_names),
        cmocka_unit_test(array_elements_are_sliced),
        cmocka_unit_test(elements_beyond_the_capacity_are_counted_and_checked),
        cmocka_unit_test(what_is_no_array_is_told_from_what_is_no_json),
        cmocka_unit_test(depth_is_bounded_inside_arrays_and_objects),
        cmocka_unit_test(object_members_are_picked),
        cmocka_unit_test(names_with_escapes_are_compared_decoded),
        cmocka_unit_test(what_is_no_object_is_told_from_what_is_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
