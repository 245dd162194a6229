/* SPDX-License-Identifier: MIT */
/* Text in JSON: decoding what was scanned, writing strings (H55), and strict UTF-8 (H30, H31). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/tk_json.h"

static const struct tk_json_rules plain = {.max_depth = 8};

static void expect_decoded(struct tk_slice json, struct tk_slice expected)
{
    struct tk_json_value value;
    struct tk_buf out = {0};

    assert_int_equal(tk_json_scan(json, &plain, &value, NULL), TK_OK);
    tk_json_string_decode(&value, &out);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.data, expected.ptr, expected.len);
    tk_buf_fini(&out);
}

static void strings_are_decoded(void **state)
{
    expect_decoded(TK_SLICE("\"\""), TK_SLICE(""));
    expect_decoded(TK_SLICE("\"plain\""), TK_SLICE("plain"));
    expect_decoded(TK_SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), TK_SLICE("\"\\/\b\f\n\r\t"));
    expect_decoded(TK_SLICE("\"a\\u0000b\""), TK_SLICE("a\0b"));
    expect_decoded(TK_SLICE("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
                   TK_SLICE("\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"));
    expect_decoded(TK_SLICE("\"\\ud800\\udc00x\\uDBFF\\uDFFF\""),
                   TK_SLICE("\xF0\x90\x80\x80x\xF4\x8F\xBF\xBF"));
    expect_decoded(TK_SLICE("\"\xE2\x82\xAC\\u20ac\""), TK_SLICE("\xE2\x82\xAC\xE2\x82\xAC"));
}

static void text_without_escapes_is_not_copied(void **state)
{
    struct tk_json_value value;
    struct tk_buf scratch = {0};
    const struct tk_slice json = TK_SLICE("\"room\"");

    assert_int_equal(tk_json_scan(json, &plain, &value, NULL), TK_OK);
    struct tk_slice text = tk_json_string_text(&value, &scratch);
    assert_ptr_equal(text.ptr, json.ptr + 1);
    assert_int_equal(text.len, 4);
    assert_null(scratch.data);
}

static void results_share_a_scratch_that_was_reserved(void **state)
{
    const struct tk_slice json = TK_SLICE("[\"\\t\\t\\t\",\"\\ud83d\\ude39\",\"\\u00e9\"]");
    struct tk_json_value items[3];
    struct tk_buf scratch = {0};
    size_t count;

    assert_int_equal(tk_json_scan_array(json, &plain, items, 3, &count), TK_OK);
    tk_buf_reserve(&scratch, json.len);
    const char *before = scratch.data;
    struct tk_slice first = tk_json_string_text(&items[0], &scratch);
    struct tk_slice second = tk_json_string_text(&items[1], &scratch);
    struct tk_slice third = tk_json_string_text(&items[2], &scratch);
    assert_ptr_equal(scratch.data, before);
    assert_true(tk_slice_eq_str(first, "\t\t\t"));
    assert_true(tk_slice_eq_str(second, "\xF0\x9F\x98\xB9"));
    assert_true(tk_slice_eq_str(third, "\xC3\xA9"));
    tk_buf_fini(&scratch);
}

/* H55, C28: what JSON demands and nothing else; "/" and non-ASCII stay. */
static void strings_are_written_with_the_escapes_json_demands(void **state)
{
    struct tk_buf out = {0};

    tk_json_write_string(&out, TK_SLICE("a/\xE2\x82\xAC\x7f\"\\\b\f\n\r\t\0\x01\x1fz"));
    assert_string_equal(tk_buf_str(&out), "\"a/\xE2\x82\xAC\x7f\\\"\\\\\\b\\f\\n\\r\\t"
                                          "\\u0000\\u0001\\u001fz\"");
    tk_buf_clear(&out);
    tk_json_write_string(&out, tk_slice(NULL, 0));
    assert_string_equal(tk_buf_str(&out), "\"\"");
    tk_buf_fini(&out);
}

static void every_ascii_character_survives_a_round_trip(void **state)
{
    char all[128];
    struct tk_buf json = {0};

    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    tk_json_write_string(&json, tk_slice(all, sizeof(all)));
    expect_decoded(tk_buf_slice(&json), tk_slice(all, sizeof(all)));
    tk_buf_fini(&json);
}

static void utf8_is_judged_strictly(void **state)
{
    assert_true(tk_utf8_valid(tk_slice(NULL, 0)));
    assert_true(tk_utf8_valid(TK_SLICE("a\0b\xC3\xA9 \xE2\x82\xAC\xF0\x9F\x98\xB9z")));
    assert_false(tk_utf8_valid(TK_SLICE("a\xC0\x80")));
    assert_false(tk_utf8_valid(TK_SLICE("\xED\xA0\x80")));
    assert_false(tk_utf8_valid(TK_SLICE("\xC3\xA9\xC3")));
    assert_false(tk_utf8_valid(TK_SLICE("\xF4\x90\x80\x80")));
}

/* All sequences of two and three bytes, against the table of RFC 3629 written another way. */
static void utf8_agrees_with_code_points(void **state)
{
    for (unsigned lead = 0x80; lead < 0x100; lead++) {
        for (unsigned b = 0; b < 0x100; b++) {
            char two[] = {(char)lead, (char)b};
            bool two_valid = lead >= 0xc2 && lead <= 0xdf && (b & 0xc0) == 0x80;
            assert_int_equal(tk_utf8_valid(tk_slice(two, 2)), two_valid);

            char three[] = {(char)lead, (char)b, (char)0xbf};
            unsigned code = (lead & 0x0f) << 12 | (b & 0x3f) << 6 | 0x3f;
            bool three_valid = (lead & 0xf0) == 0xe0 && (b & 0xc0) == 0x80 && code >= 0x800 &&
                               (code < 0xd800 || code > 0xdfff);
            assert_int_equal(tk_utf8_valid(tk_slice(three, 3)), three_valid);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(text_without_escapes_is_not_copied),
        cmocka_unit_test(results_share_a_scratch_that_was_reserved),
        cmocka_unit_test(strings_are_written_with_the_escapes_json_demands),
        cmocka_unit_test(every_ascii_character_survives_a_round_trip),
        cmocka_unit_test(utf8_is_judged_strictly),
        cmocka_unit_test(utf8_agrees_with_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
