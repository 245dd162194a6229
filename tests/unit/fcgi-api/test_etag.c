/* SPDX-License-Identifier: MIT */
/* Entity tags and the lists they come back in (H87, H101). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/etag.h"

static void a_version_is_written_in_hex(void **state)
{
    assert_string_equal(etag_of_version(0x652ca1c5f3d27).text, "\"652ca1c5f3d27\"");
    assert_string_equal(etag_of_version(INT64_MAX).text, "\"7fffffffffffffff\"");
}

static void bytes_give_one_tag(void **state)
{
    struct etag a = etag_of_bytes(TK_SLICE("{\"data\":[]}"));

    assert_string_equal(a.text, etag_of_bytes(TK_SLICE("{\"data\":[]}")).text);
    assert_string_not_equal(a.text, etag_of_bytes(TK_SLICE("{\"data\":[ ]}")).text);
    assert_int_equal(strlen(a.text), 34);
    assert_int_equal(strlen(etag_of_bytes((struct tk_slice){0}).text), 34);
}

static void if_match_wants_a_strong_tag(void **state)
{
    struct etag etag = {"\"abc\""};

    assert_true(etag_if_match("*", &etag));
    assert_true(etag_if_match("\"abc\"", &etag));
    assert_true(etag_if_match("\"x\", \"abc\"", &etag));
    assert_true(etag_if_match("\"x\",W/\"y\" , \"abc\" ", &etag));
    assert_false(etag_if_match("W/\"abc\"", &etag));
    assert_false(etag_if_match("\"ab\"", &etag));
    assert_false(etag_if_match("\"abcd\"", &etag));
    assert_false(etag_if_match("abc", &etag));
    assert_false(etag_if_match("\"abc", &etag));
    assert_false(etag_if_match("", &etag));
    assert_false(etag_if_match(", ,", &etag));
    assert_false(etag_if_match("W/", &etag));
}

static void if_none_match_takes_a_weak_one(void **state)
{
    struct etag etag = {"\"abc\""};

    assert_true(etag_if_none_match("*", &etag));
    assert_true(etag_if_none_match("W/\"abc\"", &etag));
    assert_true(etag_if_none_match("\"x\", W/\"abc\"", &etag));
    assert_false(etag_if_none_match("W/\"x\"", &etag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_written_in_hex),
        cmocka_unit_test(bytes_give_one_tag),
        cmocka_unit_test(if_match_wants_a_strong_tag),
        cmocka_unit_test(if_none_match_takes_a_weak_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
