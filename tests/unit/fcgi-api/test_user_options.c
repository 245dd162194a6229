/* SPDX-License-Identifier: MIT */
/* What the query of a user route may ask for (H75, H77-H82). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/resources/user_options.h"
#include "tests/unit/fcgi-api/rendered_errors.h"

static struct fieldset fields;
static struct user_selection selection;

/* The query stays until the next one: what was selected points into it. */
static struct query query;

static const char *one_user(const char *raw)
{
    struct jsonapi_errors errors = {0};

    query_fini(&query);
    assert_int_equal(query_parse(tk_slice_str(raw), &query), TK_OK);
    bool ok = user_options_read(&query, &fields, &errors);
    assert_int_equal(ok, errors.status == 0);
    return render(&errors);
}

static const char *user_list(const char *raw)
{
    struct jsonapi_errors errors = {0};

    query_fini(&query);
    assert_int_equal(query_parse(tk_slice_str(raw), &query), TK_OK);
    bool ok = user_list_options_read(&query, &fields, &selection, &errors);
    assert_int_equal(ok, errors.status == 0);
    return render(&errors);
}

/* H77 */
static void fields_choose_attributes(void **state)
{
    assert_string_equal(one_user(""), "ok");
    assert_false(fields.given);
    assert_string_equal(one_user("fields[user]=nickname"), "ok");
    assert_true(fields.given && fields.nickname && !fields.stamps_collected);
    assert_string_equal(one_user("fields%5Buser%5D=stamps_collected,id,nickname"), "ok");
    assert_true(fields.given && fields.nickname && fields.stamps_collected);
    assert_string_equal(one_user("fields[user]="), "ok");
    assert_true(fields.given && !fields.nickname && !fields.stamps_collected);
    assert_string_equal(one_user("fields[user]=id"), "ok");
    assert_true(fields.given && !fields.nickname && !fields.stamps_collected);
    assert_string_equal(one_user("fields[user]=nickname&fields[user]=stamps_collected"), "ok");
    assert_true(!fields.nickname && fields.stamps_collected);
}

static void wrong_fields_are_refused(void **state)
{
    assert_string_equal(one_user("fields[user]=inserted_at"), "InvalidField fields[user]");
    assert_string_equal(one_user("fields[user]=nickname,"), "InvalidField fields[user]");
    assert_string_equal(one_user("fields[users]=nickname"), "InvalidType fields[users]");
    assert_string_equal(one_user("fields=nickname"), "InvalidField fields");
    assert_string_equal(one_user("fields[user][]=x"), "InvalidField fields[user][]");
}

/* H75, H81, H82 */
static void one_user_takes_fields_only(void **state)
{
    assert_string_equal(one_user("include="), "InvalidIncludes include");
    assert_string_equal(one_user("include=friends"), "InvalidIncludes include");
    assert_string_equal(one_user("foo=1&sort=id"), "InvalidQuery foo; InvalidQuery sort");
    assert_string_equal(one_user("page[limit]=1"), "InvalidQuery page[limit]");
    assert_string_equal(one_user("fieldsx=1"), "InvalidQuery fieldsx");
    assert_string_equal(one_user("_format=json"), "InvalidQuery _format");
}

/* H80 */
static void pages(void **state)
{
    assert_string_equal(user_list("page[limit]=1&page[offset]=1000000000"), "ok");
    assert_int_equal(selection.limit, 1);
    assert_int_equal(selection.offset, 1000000000);
    assert_string_equal(user_list("page[limit]=1000"), "ok");
    assert_string_equal(user_list("page[limit]=1001"), "InvalidPagination page[limit]");
    assert_string_equal(user_list("page[limit]=0"), "InvalidPagination page[limit]");
    assert_string_equal(user_list("page[limit]=abc"), "InvalidPagination page[limit]");
    assert_string_equal(user_list("page[limit]="), "InvalidPagination page[limit]");
    assert_string_equal(user_list("page[limit]=-1"), "InvalidPagination page[limit]");
    assert_string_equal(user_list("page[offset]=1000000001"), "InvalidPagination page[offset]");
    assert_string_equal(user_list("page[offset]=99999999999"), "InvalidPagination page[offset]");
    assert_string_equal(user_list("page[number]=1"), "InvalidPagination page[number]");
    assert_string_equal(user_list("page=1"), "InvalidPagination page");
}

/* H83: the first value is not even looked at. */
static void of_repeated_parameters_the_last_counts(void **state)
{
    assert_string_equal(user_list("page[limit]=x&page[limit]=7&sort=foo&sort=id"), "ok");
    assert_int_equal(selection.limit, 7);
    assert_int_equal(selection.sort_count, 1);
}

static void expect_sort(const char *raw, const char *columns)
{
    static const char letters[USER_COLUMN_COUNT] = {
        [USER_COLUMN_ID] = 'i', [USER_COLUMN_NICKNAME] = 'n', [USER_COLUMN_STAMPS] = 's'};
    char text[16] = "";

    assert_string_equal(user_list(raw), "ok");
    for (size_t i = 0; i < selection.sort_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%c",
                 selection.sort[i].descending ? "-" : "", letters[selection.sort[i].column]);
    assert_string_equal(text, columns);
}

/* H78 */
static void sorting(void **state)
{
    expect_sort("", "");
    expect_sort("sort=nickname", "n");
    expect_sort("sort=-stamps_collected,nickname,-id", "-sn-i");
    expect_sort("sort=nickname,-nickname,id,nickname,-id", "ni");
}

static void wrong_sorting_is_refused(void **state)
{
    static const char *const values[] = {
        "sort=",     "sort=,", "sort=id,", "sort=,id",   "sort=inserted_at", "sort=%2Bid",
        "sort=--id", "sort=-", "sort=Id",  "sort=id%20", "sort=+id",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(values); i++) {
        if (strncmp(user_list(values[i]), "InvalidSort sort", strlen("InvalidSort sort")) != 0)
            fail_msg("%s", values[i]);
    }
    assert_string_equal(user_list("sort[]=id"), "InvalidSort sort[]");
    assert_string_equal(user_list("sort[0]=id"), "InvalidSort sort[0]");
}

/* H79 */
static void filters(void **state)
{
    assert_string_equal(user_list("filter[nickname]=a%20b&filter[stamps_collected]=-7"), "ok");
    assert_true(selection.filter[USER_COLUMN_NICKNAME] && selection.filter[USER_COLUMN_STAMPS]);
    assert_false(selection.filter[USER_COLUMN_ID] || selection.is_empty);
    assert_true(tk_slice_eq_str(selection.nickname, "a b"));
    assert_int_equal(selection.stamps_collected, -7);
    assert_string_equal(user_list("filter[id]=681A6B2E-9F00-4abc-800d-0123456789ab"), "ok");
    assert_true(selection.filter[USER_COLUMN_ID]);
    assert_int_equal(selection.id.bytes[1], 0x1a);
    assert_string_equal(user_list("filter[stamps_collected]=9223372036854775807"), "ok");
    assert_true(selection.stamps_collected == INT64_MAX);
    assert_string_equal(user_list("filter[stamps_collected]=-9223372036854775808"), "ok");
    assert_true(selection.stamps_collected == INT64_MIN);
}

static void empty_filters_match_nobody(void **state)
{
    static const char *const queries[] = {"filter[id]=", "filter[nickname]",
                                          "filter[stamps_collected]="};

    for (size_t i = 0; i < TK_ARRAY_LEN(queries); i++) {
        assert_string_equal(user_list(queries[i]), "ok");
        assert_true(selection.is_empty);
    }
}

static void wrong_filters_are_refused(void **state)
{
    static const char *const names[] = {
        "filter",          "filter[]",
        "filter[foo]",     "filter[inserted_at]",
        "filter[id][eq]",  "filter[stamps_collected][gt]",
        "filter[or][]",    "filter[not][id]",
        "filter[nickname",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(names); i++) {
        char raw[64], wanted[96];
        snprintf(raw, sizeof(raw), "%s=1", names[i]);
        snprintf(wanted, sizeof(wanted), "InvalidFilter %s", names[i]);
        assert_string_equal(user_list(raw), wanted);
    }
    assert_string_equal(user_list("filter[id]=x"), "InvalidFilter filter[id]");
    assert_string_equal(user_list("filter[nickname]=a%00"), "InvalidFilter filter[nickname]");
    assert_string_equal(user_list("filter[stamps_collected]=1.0"),
                        "InvalidFilter filter[stamps_collected]");
    assert_string_equal(user_list("filter[stamps_collected]=-"),
                        "InvalidFilter filter[stamps_collected]");
    assert_string_equal(user_list("filter[stamps_collected]=9223372036854775808"),
                        "InvalidFilter filter[stamps_collected]");
}

static int forget_query(void **state)
{
    query_fini(&query);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_choose_attributes),
        cmocka_unit_test(wrong_fields_are_refused),
        cmocka_unit_test(one_user_takes_fields_only),
        cmocka_unit_test(pages),
        cmocka_unit_test(of_repeated_parameters_the_last_counts),
        cmocka_unit_test(sorting),
        cmocka_unit_test(wrong_sorting_is_refused),
        cmocka_unit_test(filters),
        cmocka_unit_test(empty_filters_match_nobody),
        cmocka_unit_test(wrong_filters_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, forget_query);
}
