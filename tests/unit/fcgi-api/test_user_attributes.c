/* SPDX-License-Identifier: MIT */
/* The attribute rules (H44-H54), through json-c as in a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/resources/user_attributes.h"

#define MAX_STAMPS INT64_C(9007199254740991)

static struct user_changes changes;
static struct tk_buf nickname;

/* Checks `attributes` (JSON) and renders the violations: "code: detail; ..." or "ok". */
static const char *checked_with(const char *attributes, int64_t stamps_max)
{
    static char text[1024];
    struct user_rules rules = {.nickname = {.min_length = 3, .max_length = 24},
                               .stamps_max = stamps_max};
    struct jsonapi_errors errors = {0};
    json_object *object = attributes != NULL ? json_tokener_parse(attributes) : NULL;

    assert_true(attributes == NULL || object != NULL);
    bool ok = user_attributes_read(object, &rules, &changes, &nickname, &errors);
    assert_int_equal(ok, errors.status == 0);
    snprintf(text, sizeof(text), "%s", ok ? "ok" : "");
    for (size_t i = 0; !ok && i < json_object_array_length(errors.list); i++) {
        json_object *error = json_object_array_get_idx(errors.list, i);
        assert_int_equal(errors.status, 400);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s: %s", i > 0 ? "; " : "",
                 json_object_get_string(json_object_object_get(error, "code")),
                 json_object_get_string(json_object_object_get(error, "detail")));
    }
    jsonapi_errors_fini(&errors);
    json_object_put(object);
    return text;
}

static const char *checked(const char *attributes)
{
    return checked_with(attributes, MAX_STAMPS);
}

static int free_nickname(void **state)
{
    tk_buf_fini(&nickname);
    return 0;
}

static void expect_stamps(const char *value, int64_t number)
{
    char attributes[128];

    snprintf(attributes, sizeof(attributes), "{\"stamps_collected\":%s}", value);
    assert_string_equal(checked(attributes), "ok");
    assert_true(changes.set_stamps);
    assert_int_equal(changes.stamps_collected, number);
    assert_false(changes.set_nickname);
}

static void expect_no_stamps(const char *value, const char *problem)
{
    char attributes[128];

    snprintf(attributes, sizeof(attributes), "{\"stamps_collected\":%s}", value);
    if (strcmp(checked(attributes), problem) != 0)
        fail_msg("%s: %s", value, checked(attributes));
}

/* H52 */
static void stamps_that_count(void **state)
{
    expect_stamps("7", 7);
    expect_stamps("\"7\"", 7);
    expect_stamps("0", 0);
    expect_stamps("\"0\"", 0);
    expect_stamps("\"+7\"", 7);
    expect_stamps("\"-0\"", 0);
    expect_stamps("\"007\"", 7);
    expect_stamps("9007199254740991", MAX_STAMPS);
    expect_stamps("\"9007199254740991\"", MAX_STAMPS);
}

/* H52: json-c clamps integers beyond 64 bits, which must not let them in. */
static void stamps_out_of_range(void **state)
{
    static const char *const values[] = {
        "-1",
        "\"-1\"",
        "9007199254740992",
        "\"9007199254740992\"",
        "9223372036854775807",
        "9223372036854775808",
        "\"9223372036854775808\"",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "\"-9223372036854775809\"",
        "\"99999999999999999999999999999999999999\"",
        "\"18446744073709551617\"",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(values); i++)
        expect_no_stamps(values[i], "invalid_attribute: stamps_collected: must be between 0 and "
                                    "9007199254740991.");
}

static void stamps_that_are_no_integer(void **state)
{
    static const char *const values[] = {
        "7.5",    "7.0",     "1e2",     "1e999", "\"abc\"", "\"7.5\"", "\"\"",         "\" 7\"",
        "\"7 \"", "\"0x7\"", "\"1e2\"", "\"+\"", "\"-\"",   "\"--1\"", "\"7\\u0000\"",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(values); i++)
        expect_no_stamps(values[i], "invalid_attribute: stamps_collected: must be an integer.");
}

static void stamps_of_another_type(void **state)
{
    static const char *const values[] = {"null", "true", "false", "[]", "{}"};

    for (size_t i = 0; i < TK_ARRAY_LEN(values); i++)
        expect_no_stamps(values[i], "InvalidBody: stamps_collected: must be an integer.");
}

static void the_maximum_is_a_setting(void **state)
{
    assert_string_equal(checked_with("{\"stamps_collected\":10}", 10), "ok");
    assert_string_equal(checked_with("{\"stamps_collected\":11}", 10),
                        "invalid_attribute: stamps_collected: must be between 0 and 10.");
}

static void a_nickname_is_trimmed_and_taken(void **state)
{
    assert_string_equal(checked("{\"nickname\":\"  Calm_Takodachi \"}"), "ok");
    assert_true(changes.set_nickname);
    assert_string_equal(changes.nickname, "Calm_Takodachi");
    assert_false(changes.set_stamps);
}

/* H44, H48 */
static void null_and_empty_take_the_name_away(void **state)
{
    static const char *const values[] = {"{\"nickname\":null}", "{\"nickname\":\"\"}",
                                         "{\"nickname\":\" \\u3000\"}"};

    for (size_t i = 0; i < TK_ARRAY_LEN(values); i++) {
        assert_string_equal(checked(values[i]), "ok");
        assert_true(changes.set_nickname);
        assert_null(changes.nickname);
    }
}

/* H44 */
static void a_nickname_of_another_type(void **state)
{
    static const char *const values[] = {"{\"nickname\":5}", "{\"nickname\":true}",
                                         "{\"nickname\":[]}", "{\"nickname\":{}}"};

    for (size_t i = 0; i < TK_ARRAY_LEN(values); i++)
        assert_string_equal(checked(values[i]), "InvalidBody: nickname: must be a string or null.");
}

/* H50: \u0000 was a 500 of the original. */
static void nul_does_not_end_a_nickname(void **state)
{
    assert_string_equal(checked("{\"nickname\":\"abc\\u0000\"}"),
                        "invalid_attribute: nickname: contains a character that is not allowed.");
}

/* H53 */
static void only_what_is_sent_is_checked(void **state)
{
    assert_string_equal(checked("{}"), "ok");
    assert_false(changes.set_nickname || changes.set_stamps);
    assert_string_equal(checked(NULL), "ok");
    assert_false(changes.set_nickname || changes.set_stamps);
}

/* H54: nickname first, whatever the order in the document. */
static void all_violations_are_reported_together(void **state)
{
    assert_string_equal(checked_with("{\"stamps_collected\":-1,\"nickname\":\"ab\"}", 10),
                        "invalid_attribute: nickname: length must be between 3 and 24 characters.; "
                        "invalid_attribute: stamps_collected: must be between 0 and 10.");
    assert_string_equal(checked_with("{\"stamps_collected\":[],\"nickname\":5}", 10),
                        "InvalidBody: nickname: must be a string or null.; "
                        "InvalidBody: stamps_collected: must be an integer.");
}

/* H52 */
static void stamps_as_text(void **state)
{
    int64_t stamps = 5;

    assert_int_equal(user_stamps_parse(TK_SLICE("+9223372036854775807"), &stamps), TK_OK);
    assert_true(stamps == INT64_MAX);
    assert_int_equal(user_stamps_parse(TK_SLICE("-9223372036854775808"), &stamps), TK_OK);
    assert_true(stamps == INT64_MIN);
    assert_int_equal(user_stamps_parse(TK_SLICE("9223372036854775808"), &stamps), TK_ELIMIT);
    assert_int_equal(user_stamps_parse(TK_SLICE("-9223372036854775809"), &stamps), TK_ELIMIT);
    assert_int_equal(user_stamps_parse(TK_SLICE("99999999999999999999x"), &stamps), TK_ESYNTAX);
    assert_int_equal(user_stamps_parse(TK_SLICE("+-7"), &stamps), TK_ESYNTAX);
    assert_int_equal(user_stamps_parse(TK_SLICE("-"), &stamps), TK_ESYNTAX);
    assert_int_equal(user_stamps_parse((struct tk_slice){0}, &stamps), TK_ESYNTAX);
    assert_true(stamps == INT64_MIN); /* only success writes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_that_count),
        cmocka_unit_test(stamps_out_of_range),
        cmocka_unit_test(stamps_that_are_no_integer),
        cmocka_unit_test(stamps_of_another_type),
        cmocka_unit_test(the_maximum_is_a_setting),
        cmocka_unit_test(a_nickname_is_trimmed_and_taken),
        cmocka_unit_test(null_and_empty_take_the_name_away),
        cmocka_unit_test(a_nickname_of_another_type),
        cmocka_unit_test(nul_does_not_end_a_nickname),
        cmocka_unit_test(only_what_is_sent_is_checked),
        cmocka_unit_test(all_violations_are_reported_together),
        cmocka_unit_test(stamps_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, free_nickname);
}
