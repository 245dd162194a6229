/* SPDX-License-Identifier: MIT */
/* Query decoding: C3, C4, and the UTF-8 rule of C7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/connect/upgrade.h"

static struct tk_buf found;

static int tear_down(void **state)
{
    tk_buf_fini(&found);
    return 0;
}

/* Searches a heap copy of its exact size, so that ASan sees a read past the end. */
static enum tk_err find(const char *query, const char *key)
{
    size_t len = strlen(query);
    char *copy = tk_xmalloc(len);
    memcpy(copy, query, len);
    tk_buf_clear(&found);
    enum tk_err err = query_find(tk_slice(copy, len), key, &found);
    free(copy);
    return err;
}

static void expect_found(const char *query, struct tk_slice should)
{
    enum tk_err err = find(query, "userToken");
    if (err || !tk_slice_eq(tk_buf_slice(&found), should))
        fail_msg("%s: \"%.*s\" from %s", tk_strerror(err), (int)found.len,
                 found.data ? found.data : "", query);
}

static void expect_not_found(const char *query, enum tk_err should)
{
    enum tk_err err = find(query, "userToken");
    if (err != should)
        fail_msg("%s: %s", tk_strerror(err), query);
    assert_int_equal(found.len, 0);
}

#define VALUE(query, literal) expect_found(query, TK_SLICE(literal))
#define ABSENT(query)         expect_not_found(query, TK_ENOTFOUND)
#define NO_STRING(query)      expect_not_found(query, TK_EINVAL)

/* C4 */
static void what_phoenix_js_writes(void **state)
{
    VALUE("userToken=681adb8b-be3d-4fca-8858-2827609d9b22&vsn=2.0.0",
          "681adb8b-be3d-4fca-8858-2827609d9b22");
    VALUE("userToken=x&&arr%5B0%5D=1&obj%5Ba%5D=x%20y&vsn=2.0.0", "x");
    ABSENT("&vsn=2.0.0");
    assert_int_equal(find("userToken=x&&arr%5B0%5D=1&vsn=2.0.0", "vsn"), TK_OK);
    assert_true(tk_slice_eq_str(tk_buf_slice(&found), "2.0.0"));
}

static void empty_pieces_are_skipped(void **state)
{
    ABSENT("");
    ABSENT("&");
    ABSENT("&&&");
    ABSENT("=");
    ABSENT("=x");
    VALUE("&&userToken=x&&", "x");
}

static void key_without_value_is_empty(void **state)
{
    VALUE("userToken", "");
    VALUE("userToken=", "");
    VALUE("a=1&userToken&b=2", "");
}

static void value_ends_at_the_ampersand_only(void **state)
{
    VALUE("userToken=a=b==&c", "a=b==");
    VALUE("userToken=a;b=c", "a;b=c");
    VALUE("userToken=a?b/c", "a?b/c");
}

static void escapes_and_pluses_are_decoded(void **state)
{
    VALUE("userToken=a+b%20c%2Bd%2bE", "a b c+d+E");
    VALUE("userToken=%00%ff%C3%A9", "\x00\xff\xc3\xa9");
    VALUE("userToken=%26%3D", "&=");
    VALUE("user%54oken=x", "x");
}

static void malformed_escapes_stay(void **state)
{
    VALUE("userToken=%", "%");
    VALUE("userToken=%4", "%4");
    VALUE("userToken=%zz%4g%g4", "%zz%4g%g4");
    VALUE("userToken=%%41", "%A");
    VALUE("userToken=%2541", "%41");
}

static void keys_match_exactly(void **state)
{
    ABSENT("usertoken=x");
    ABSENT("userToken2=x");
    ABSENT("userToke=x");
    ABSENT("userToken+=x");
    ABSENT("a=userToken");
    ABSENT("%userToken=x");
}

static void last_duplicate_wins(void **state)
{
    VALUE("userToken=a&userToken=b", "b");
    VALUE("userToken=a&userToken", "");
    VALUE("userToken[]=a&userToken=b", "b");
    NO_STRING("userToken=a&userToken[]=b");
}

static void nested_keys_are_no_strings(void **state)
{
    NO_STRING("userToken[]=x");
    NO_STRING("userToken[a]=x");
    NO_STRING("userToken[a][b]=x");
    NO_STRING("userToken[]");
    NO_STRING("userToken%5B%5D=x");
    NO_STRING("userToken%5ba]=x");
}

/* Plug nests only what ends with a bracket. */
static void half_brackets_are_other_keys(void **state)
{
    ABSENT("userToken[=x");
    ABSENT("userToken[a=x");
    ABSENT("userToken]=x");
    ABSENT("userToken[a]b=x");
    ABSENT("a[userToken]=x");
}

static void value_is_appended(void **state)
{
    tk_buf_append_str(&found, "before ");
    assert_int_equal(query_find(TK_SLICE("a=b"), "a", &found), TK_OK);
    assert_true(tk_slice_eq_str(tk_buf_slice(&found), "before b"));
}

/* C7 */
static void decoded_query_must_be_utf8(void **state)
{
    assert_true(query_is_utf8(TK_SLICE("")));
    assert_true(query_is_utf8(TK_SLICE("userToken=x&a=%C3%A9+%F0%9F%90%99")));
    assert_true(query_is_utf8(TK_SLICE("a=%zz%")));
    assert_true(query_is_utf8(TK_SLICE("a=%00")));
    assert_false(query_is_utf8(TK_SLICE("userToken=%ff")));
    assert_false(query_is_utf8(TK_SLICE("%ff=x")));
    assert_false(query_is_utf8(TK_SLICE("vsn=2.0.0&unknown=%c3")));
    assert_false(query_is_utf8(TK_SLICE("a=%c3&b=%a9")));
    assert_false(query_is_utf8(TK_SLICE("%c3=%a9")));
    assert_false(query_is_utf8(TK_SLICE("a=%ed%a0%80")));
    assert_false(query_is_utf8(TK_SLICE("a=\xff")));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_phoenix_js_writes),
        TEST(empty_pieces_are_skipped),
        TEST(key_without_value_is_empty),
        TEST(value_ends_at_the_ampersand_only),
        TEST(escapes_and_pluses_are_decoded),
        TEST(malformed_escapes_stay),
        TEST(keys_match_exactly),
        TEST(last_duplicate_wins),
        TEST(nested_keys_are_no_strings),
        TEST(half_brackets_are_other_keys),
        TEST(value_is_appended),
        TEST(decoded_query_must_be_utf8),
    };
    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
