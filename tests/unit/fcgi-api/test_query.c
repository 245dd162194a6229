/* SPDX-License-Identifier: MIT */
/* Query strings (H82, H83, H86). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/query.h"
#include "tests/unit/fcgi-api/rendered_errors.h"

static struct query parsed(const char *raw)
{
    struct query query;

    assert_int_equal(query_parse(tk_slice_str(raw), &query), TK_OK);
    return query;
}

static void expect_parameter(const char *raw, const char *name, const char *value)
{
    struct query query = parsed(raw);

    assert_int_equal(query.count, 1);
    assert_true(tk_slice_eq_str(query.parameters[0].name, name));
    assert_true(tk_slice_eq_str(query.parameters[0].value, value));
    query_fini(&query);
}

/* H83 */
static void forms_are_decoded(void **state)
{
    expect_parameter("a=b", "a", "b");
    expect_parameter("a", "a", "");
    expect_parameter("a=b=c", "a", "b=c");
    expect_parameter("a+b=c+d", "a b", "c d");
    expect_parameter("fields%5Buser%5d=x", "fields[user]", "x");
    expect_parameter("a=%zz%4%", "a", "%zz%4%");
    expect_parameter("a=100%", "a", "100%");
    expect_parameter("a=%2525", "a", "%25");
    expect_parameter("a=%c3%a9", "a", "\xC3\xA9");
    expect_parameter("&&a=b&", "a", "b");
    expect_parameter("=x", "", "x");
}

static void nothing_is_no_parameter(void **state)
{
    struct query query = parsed("");

    assert_int_equal(query.count, 0);
    query_fini(&query);
}

static void bad_queries_are_refused(void **state)
{
    struct query query;
    struct tk_buf many = {0};

    assert_int_equal(query_parse(tk_slice_str("a=%ff"), &query), TK_EINVAL);
    query_fini(&query);
    assert_int_equal(query_parse(tk_slice_str("%c0%af=1"), &query), TK_EINVAL);
    query_fini(&query);
    for (int i = 0; i < QUERY_MAX_PARAMETERS; i++)
        tk_buf_append_str(&many, "a&");
    assert_int_equal(query_parse(tk_buf_slice(&many), &query), TK_OK);
    query_fini(&query);
    tk_buf_append_str(&many, "a");
    assert_int_equal(query_parse(tk_buf_slice(&many), &query), TK_ELIMIT);
    query_fini(&query);
    tk_buf_fini(&many);
}

/* H83 */
static void of_repeated_parameters_the_last_counts(void **state)
{
    struct query query = parsed("a=1&b=2&a=3");

    assert_true(query_is_overridden(&query, &query.parameters[0]));
    assert_false(query_is_overridden(&query, &query.parameters[1]));
    assert_false(query_is_overridden(&query, &query.parameters[2]));
    query_fini(&query);
}

/* H76: what a link holds reads back as the same. */
static void encoding_is_undone_by_decoding(void **state)
{
    static const char text[] = "a[b]&=+%/ \xC3\xA9,-._~";
    struct tk_buf raw = {0};

    query_encode(tk_slice_str(text), &raw);
    assert_string_equal(tk_buf_str(&raw), "a%5Bb%5D%26%3D%2B%25%2F%20%C3%A9,-._~");
    expect_parameter(tk_buf_str(&raw), text, "");
    tk_buf_fini(&raw);
}

/* H82, H86 */
static void the_leaderboard_reads_its_limit_only(void **state)
{
    struct jsonapi_errors errors = {0};
    unsigned limit = 50;
    struct query query = parsed("foo=1&page[limit]=10&include=x");

    query_read_limit(&query, 100, &limit, &errors);
    assert_int_equal(limit, 10);
    assert_int_equal(errors.status, 0);
    query_fini(&query);

    query = parsed("page[limit]=x&page[limit]=11");
    query_read_limit(&query, 100, &limit, &errors);
    assert_int_equal(limit, 11);
    assert_int_equal(errors.status, 0);
    query_fini(&query);

    query = parsed("page[limit]=101");
    query_read_limit(&query, 100, &limit, &errors);
    assert_string_equal(render(&errors), "InvalidPagination page[limit]");
    query_fini(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_decoded),
        cmocka_unit_test(nothing_is_no_parameter),
        cmocka_unit_test(bad_queries_are_refused),
        cmocka_unit_test(of_repeated_parameters_the_last_counts),
        cmocka_unit_test(encoding_is_undone_by_decoding),
        cmocka_unit_test(the_leaderboard_reads_its_limit_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
