/* SPDX-License-Identifier: MIT */
/* Bearer tokens (H15, H16, H18, H76). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/auth.h"

static char first[] = "secret", second[] = "other", admin[] = "root";
static char *tokens[] = {first, second};
static const struct tk_string_list two_tokens = {tokens, 2}, no_tokens = {NULL, 0};

static enum auth_level level_of(const char *header)
{
    struct auth *auth = auth_new(&two_tokens, admin);
    enum auth_level level = auth_check(auth, header);

    auth_free(auth);
    return level;
}

static void the_token_lets_in(void **state)
{
    assert_int_equal(level_of("Bearer secret"), AUTH_CLIENT);
    assert_int_equal(level_of("bearer secret"), AUTH_CLIENT);
    assert_int_equal(level_of("BEARER secret"), AUTH_CLIENT);
}

/* H18: rotation. */
static void every_configured_token_lets_in(void **state)
{
    assert_int_equal(level_of("Bearer other"), AUTH_CLIENT);
}

static void only_the_admin_token_makes_an_admin(void **state)
{
    assert_int_equal(level_of("Bearer root"), AUTH_ADMIN);
}

/* H16 */
static void everything_else_is_refused(void **state)
{
    static const char *const headers[] = {
        "",
        "secret",
        "Bearer",
        "Bearer ",
        "Bearer  secret",
        "Bearer secret ",
        "Bearer\tsecret",
        "Bearersecret",
        "Bearer Secret",
        "Bearer secre",
        "Bearer secrets",
        "Bearer secret, Bearer secret",
        "Bearer secret,other",
        "Basic secret",
        "Token token=secret",
        " Bearer secret",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(headers); i++) {
        if (level_of(headers[i]) != AUTH_REFUSED)
            fail_msg("\"%s\"", headers[i]);
    }
    assert_int_equal(level_of(NULL), AUTH_NO_CREDENTIALS);
}

/* H76: unset or empty means nobody. */
static void without_an_admin_token_nobody_is_admin(void **state)
{
    static const char *const unset[] = {NULL, ""};

    for (size_t i = 0; i < TK_ARRAY_LEN(unset); i++) {
        struct auth *auth = auth_new(&two_tokens, unset[i]);
        assert_int_equal(auth_check(auth, "Bearer "), AUTH_REFUSED);
        assert_int_equal(auth_check(auth, "Bearer root"), AUTH_REFUSED);
        assert_int_equal(auth_check(auth, "Bearer secret"), AUTH_CLIENT);
        auth_free(auth);
    }
}

/* H18: the development mode, which still keeps the administrator apart. */
static void without_tokens_everybody_is_a_client(void **state)
{
    struct auth *auth = auth_new(&no_tokens, admin);

    assert_int_equal(auth_check(auth, NULL), AUTH_CLIENT);
    assert_int_equal(auth_check(auth, "Bearer undefined"), AUTH_CLIENT);
    assert_int_equal(auth_check(auth, "Bearer root"), AUTH_ADMIN);
    auth_free(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_lets_in),
        cmocka_unit_test(every_configured_token_lets_in),
        cmocka_unit_test(only_the_admin_token_makes_an_admin),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(without_an_admin_token_nobody_is_admin),
        cmocka_unit_test(without_tokens_everybody_is_a_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
