/* SPDX-License-Identifier: MIT */
/* Paths and methods (H9, H20, H22, H23, H88). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/router.h"

static struct route_match match;

/* The pattern that path belongs to, or NULL. */
static const char *pattern_of(const char *path)
{
    return router_find(tk_slice_str(path), &match) ? match.rows->pattern : NULL;
}

static void known_paths(void **state)
{
    assert_string_equal(pattern_of("/api/json/accounts/users"), "/api/json/accounts/users");
    assert_string_equal(pattern_of("/api/json/leaderboard"), "/api/json/leaderboard");
    assert_string_equal(pattern_of("/api/json/accounts/users/x"), "/api/json/accounts/users/{id}");
    assert_true(tk_slice_eq_str(match.id, "x"));
    assert_string_equal(pattern_of("/healthz"), "/healthz");
}

/* H9: the real client posts to a path with a slash at its end (C1). */
static void empty_segments_do_not_count(void **state)
{
    assert_string_equal(pattern_of("/api/json/accounts/users/"), "/api/json/accounts/users");
    assert_string_equal(pattern_of("//api///json/accounts/users//"), "/api/json/accounts/users");
    assert_string_equal(pattern_of("api/json/leaderboard"), "/api/json/leaderboard");
    assert_string_equal(pattern_of("/api/json/accounts/users//u1/"),
                        "/api/json/accounts/users/{id}");
    assert_true(tk_slice_eq_str(match.id, "u1"));
}

static void unknown_paths(void **state)
{
    static const char *const paths[] = {
        "",
        "/",
        "/api",
        "/api/json",
        "/api/json/accounts",
        "/api/json/accounts/user",
        "/api/json/accounts/users/a/b",
        "/api/json/leaderboard/x",
        "/API/json/leaderboard",
        "/api/json/Leaderboard",
        "/api/json/./leaderboard",
        "/api/json/x/../leaderboard",
        "/a/b/c/d/e/f/g/h/i/j",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(paths); i++) {
        if (pattern_of(paths[i]) != NULL)
            fail_msg("%s", paths[i]);
    }
    assert_false(router_find(tk_slice(NULL, 0), &match));
}

static void segments_are_decoded_once(void **state)
{
    assert_non_null(pattern_of("/%61pi/json/l%65aderboard"));
    assert_non_null(pattern_of("/api/json/accounts/users/a%2Db%2d"));
    assert_true(tk_slice_eq_str(match.id, "a-b-"));
    assert_non_null(pattern_of("/api/json/accounts/users/%2541"));
    assert_true(tk_slice_eq_str(match.id, "%41"));
    assert_non_null(pattern_of("/api/json/accounts/users/a+b"));
    assert_true(tk_slice_eq_str(match.id, "a+b"));
}

/* H9, H71: malformed escapes, NUL and '/' match nothing. */
static void bad_escapes_match_nothing(void **state)
{
    assert_null(pattern_of("/api/json/accounts/users/%"));
    assert_null(pattern_of("/api/json/accounts/users/%4"));
    assert_null(pattern_of("/api/json/accounts/users/%zz"));
    assert_null(pattern_of("/api/json/accounts/users/a%00b"));
    assert_null(pattern_of("/api/json/accounts/users/a%2Fb"));
    assert_null(pattern_of("/api/json/accounts/users%2Fb"));
}

static void paths_are_bounded(void **state)
{
    char path[ROUTE_MAX_PATH + 2] = "/api/json/accounts/users/";
    size_t len = strlen(path);

    memset(path + len, 'a', sizeof(path) - len - 1);
    assert_true(router_find(tk_slice(path, ROUTE_MAX_PATH), &match));
    assert_int_equal(match.id.len, ROUTE_MAX_PATH - len);
    assert_false(router_find(tk_slice(path, ROUTE_MAX_PATH + 1), &match));
}

static const char *methods_of(const char *path)
{
    static char text[64];
    struct tk_buf methods = {0};

    assert_non_null(pattern_of(path));
    router_write_methods(match.methods, ", ", &methods);
    snprintf(text, sizeof(text), "%s", tk_buf_str(&methods));
    tk_buf_fini(&methods);
    return text;
}

/* H20, H23: what Allow says. */
static void methods_follow_from_the_table(void **state)
{
    assert_string_equal(methods_of("/api/json/accounts/users"), "GET, HEAD, POST, OPTIONS");
    assert_string_equal(methods_of("/api/json/accounts/users/x"), "GET, HEAD, PATCH, OPTIONS");
    assert_string_equal(methods_of("/api/json/leaderboard"), "GET, HEAD, OPTIONS");
}

static void a_row_belongs_to_path_and_method(void **state)
{
    assert_non_null(pattern_of("/api/json/accounts/users"));
    assert_int_equal(router_row(&match, HTTP_POST)->access, ACCESS_CLIENT);
    assert_int_equal(router_row(&match, HTTP_GET)->access, ACCESS_ADMIN);
    assert_ptr_equal(router_row(&match, HTTP_HEAD), router_row(&match, HTTP_GET));
    assert_null(router_row(&match, HTTP_PATCH));
    assert_null(router_row(&match, HTTP_OTHER));
    assert_null(router_row(&match, HTTP_OPTIONS));
}

static void tokens_are_needed_where_the_contract_says(void **state)
{
    assert_non_null(pattern_of("/api/json/accounts/users/x"));
    assert_true(router_needs_token(&match));
    assert_non_null(pattern_of("/api/json/leaderboard"));
    assert_true(router_needs_token(&match));
    assert_non_null(pattern_of("/readyz"));
    assert_false(router_needs_token(&match));
}

/* router_find counts on it. */
static void rows_of_one_pattern_stand_together(void **state)
{
    for (size_t i = 0; i < router_table_count; i++) {
        for (size_t j = i + 2; j < router_table_count; j++) {
            if (strcmp(router_table[i].pattern, router_table[j].pattern) == 0)
                assert_string_equal(router_table[j - 1].pattern, router_table[j].pattern);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_paths),
        cmocka_unit_test(empty_segments_do_not_count),
        cmocka_unit_test(unknown_paths),
        cmocka_unit_test(segments_are_decoded_once),
        cmocka_unit_test(bad_escapes_match_nothing),
        cmocka_unit_test(paths_are_bounded),
        cmocka_unit_test(methods_follow_from_the_table),
        cmocka_unit_test(a_row_belongs_to_path_and_method),
        cmocka_unit_test(tokens_are_needed_where_the_contract_says),
        cmocka_unit_test(rows_of_one_pattern_stand_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
