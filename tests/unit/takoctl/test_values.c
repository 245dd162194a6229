/* SPDX-License-Identifier: MIT */
/* What operators type, and what takoctl prints of others' text (C27, C28, C40, C185, H57). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/takoctl/takoctl.h"
#include "common/takoctl/values.h"
#include "common/tk_buf.h"

static bool is_name(const char *text)
{
    struct ctl_problem problem;
    return ctl_check_name("topic", text, &problem) == TK_OK;
}

static void names_have_1_to_255_bytes(void **state)
{
    char text[257];

    memset(text, 't', sizeof(text));
    text[255] = '\0';
    assert_true(is_name(text));
    text[255] = 't';
    text[256] = '\0';
    assert_false(is_name(text));
    assert_false(is_name(""));
    assert_true(is_name("room:1"));
}

static void names_are_utf8_without_control_characters(void **state)
{
    assert_true(is_name("room:\xe3\x81\x93\xe3\x82\x93 \xc2\xa0"));
    assert_false(is_name("room:\xff"));
    assert_false(is_name("cut \xc2"));
    assert_false(is_name("line\nbreak"));
    assert_false(is_name("delete\x7f"));
    assert_false(is_name("C1 \xc2\x9b[2J"));
}

static void expect_payload_problem(const char *json, const char *text)
{
    struct ctl_problem problem = {{0}};

    assert_int_equal(ctl_check_payload(json, &problem), TK_EINVAL);
    if (strstr(problem.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, text);
}

static void payloads_are_json_objects(void **state)
{
    struct ctl_problem problem;

    assert_int_equal(ctl_check_payload("{}", &problem), TK_OK);
    assert_int_equal(ctl_check_payload(" {\"a\":12345678901234567890} ", &problem), TK_OK);
    expect_payload_problem("[1]", "must be a JSON object");
    expect_payload_problem("null", "must be a JSON object");
    expect_payload_problem("\"{}\"", "must be a JSON object");
    expect_payload_problem("", "not JSON, from byte 1 on");
    expect_payload_problem("{\"a\":}", "not JSON, from byte 6 on");
    expect_payload_problem("{\"a\":1}x", "not JSON, from byte 8 on");
    expect_payload_problem("{\"a\":1e999}", "not JSON");
    expect_payload_problem("{\"a\":\"\xff\"}", "not JSON");
}

/* depth objects in each other. The caller frees the text. */
static char *nested(int depth)
{
    struct tk_buf text = {0};

    for (int i = 0; i < depth; i++)
        tk_buf_append_str(&text, "{\"a\":");
    tk_buf_append_str(&text, "1");
    for (int i = 0; i < depth; i++)
        tk_buf_append_str(&text, "}");
    tk_buf_append_char(&text, '\0');
    return text.data;
}

/* The frame around it is the 64th level. */
static void payloads_are_nested_at_most_63_deep(void **state)
{
    struct ctl_problem problem;
    char *deep = nested(63), *too_deep = nested(64);

    assert_int_equal(ctl_check_payload(deep, &problem), TK_OK);
    expect_payload_problem(too_deep, "nested more than 63");
    free(deep);
    free(too_deep);
}

static void user_ids_are_uuids_and_never_quoted(void **state)
{
    struct ctl_problem problem;
    struct tk_uuid id;

    assert_int_equal(ctl_parse_user_id("681ADB8B-be3d-4fca-8858-2827609d9b22", &id, &problem),
                     TK_OK);
    assert_int_equal(id.bytes[0], 0x68);
    assert_int_equal(ctl_parse_user_id("681adb8b-be3d-4fca-8858-2827609d9b2", &id, &problem),
                     TK_EINVAL);
    assert_null(strstr(problem.text, "681adb8b"));
}

static bool is_number(const char *text, int64_t max, int64_t *number)
{
    struct ctl_problem problem;
    return ctl_parse_number("--stamps", text, max, number, &problem) == TK_OK;
}

static void numbers_are_digits_up_to_a_maximum(void **state)
{
    int64_t number = -1;

    assert_true(is_number("0", 0, &number));
    assert_int_equal(number, 0);
    assert_true(is_number("0010", 10, &number));
    assert_int_equal(number, 10);
    assert_true(is_number("9223372036854775807", INT64_MAX, &number));
    assert_int_equal(number, INT64_MAX);
    assert_false(is_number("9223372036854775808", INT64_MAX, &number));
    assert_false(is_number("99999999999999999999999", INT64_MAX, &number));
    assert_false(is_number("11", 10, &number));
    assert_false(is_number("", 10, &number));
    assert_false(is_number("-1", 10, &number));
    assert_false(is_number("+1", 10, &number));
    assert_false(is_number(" 1", 10, &number));
    assert_false(is_number("1x", 10, &number));
    assert_int_equal(number, INT64_MAX);
}

static void expect_printed(struct tk_slice text, const char *expected)
{
    char *printed = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&printed, &len);

    assert_non_null(to);
    ctl_print_text(to, text);
    fclose(to);
    assert_string_equal(printed, expected);
    free(printed);
}

/* Nicknames of the original's database may hold what steers a terminal. */
static void foreign_text_is_printed_harmless(void **state)
{
    expect_printed(TK_SLICE("Calm_\xe3\x82\xbf\xe3\x82\xb3 \xf0\x9f\x90\x99"),
                   "\"Calm_\xe3\x82\xbf\xe3\x82\xb3 \xf0\x9f\x90\x99\"");
    expect_printed(TK_SLICE("a\"b\\c"), "\"a\\\"b\\\\c\"");
    expect_printed(TK_SLICE("\033[2J\n\x7f"), "\"\\u001b[2J\\u000a\\u007f\"");
    expect_printed(TK_SLICE("\xc2\x9b\xe2\x80\xae"), "\"\\u009b\\u202e\"");
    expect_printed(TK_SLICE("a\xff b"), "\"a\\xff\\x20b\"");
    expect_printed(tk_slice(NULL, 0), "\"\"");
}

/* A command that needs only Redis must not stumble over the database's settings. */
static void a_command_reads_only_what_it_needs(void **state)
{
    struct tk_setting rows[CTL_MAX_SETTINGS];
    struct tk_settings_table table = ctl_settings_table(CTL_NEEDS_REDIS, rows);

    assert_int_equal(table.count, 2);
    assert_string_equal(table.rows[0].name, "TAKO_LOG_LEVEL");
    assert_string_equal(table.rows[1].name, "REDIS_URL");
    assert_int_equal(ctl_settings_table(CTL_NEEDS_ALL, rows).count, CTL_MAX_SETTINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_1_to_255_bytes),
        cmocka_unit_test(names_are_utf8_without_control_characters),
        cmocka_unit_test(payloads_are_json_objects),
        cmocka_unit_test(payloads_are_nested_at_most_63_deep),
        cmocka_unit_test(user_ids_are_uuids_and_never_quoted),
        cmocka_unit_test(numbers_are_digits_up_to_a_maximum),
        cmocka_unit_test(foreign_text_is_printed_harmless),
        cmocka_unit_test(a_command_reads_only_what_it_needs),
    };
    return cmocka_run_group_tests_name("takoctl values", tests, NULL, NULL);
}
