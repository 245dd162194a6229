/* SPDX-License-Identifier: MIT */
/* Origins (H21). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/cors.h"

static char all[] = "*", app[] = "https://holoquest.example", netlify[] = "https://*.netlify.app",
            with_port[] = "http://*.local:8080";
static char *any_items[] = {all}, *list_items[] = {app, netlify, with_port};
static const struct tk_string_list any = {any_items, 1}, list = {list_items, 3}, none = {NULL, 0};

static void a_star_allows_everybody(void **state)
{
    assert_string_equal(cors_allowed_origin(&any, "https://anything"), "*");
    assert_string_equal(cors_allowed_origin(&any, NULL), "*");
    assert_false(cors_varies(&any));
}

static void a_list_echoes_what_matches(void **state)
{
    static const char *const allowed[] = {
        "https://holoquest.example",
        "https://x.netlify.app",
        "https://deploy-preview-7--holoquest.netlify.app",
        "https://a.b.netlify.app",
        "http://dev.local:8080",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(allowed); i++)
        assert_ptr_equal(cors_allowed_origin(&list, allowed[i]), allowed[i]);
    assert_true(cors_varies(&list));
}

static void a_list_refuses_the_rest(void **state)
{
    static const char *const refused[] = {
        "",
        "null",
        "http://holoquest.example",
        "https://holoquest.example:444",
        "https://holoquest.example.evil.example",
        "https://netlify.app",
        "https://.netlify.app",
        "https://evil.example/x.netlify.app",
        "https://evil.example?.netlify.app",
        "https://user@x.netlify.app",
        "https://x.netlify.app.evil.example",
        "https://x\r\n.netlify.app",
        "http://dev.local",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(refused); i++) {
        if (cors_allowed_origin(&list, refused[i]) != NULL)
            fail_msg("%s", refused[i]);
    }
    assert_null(cors_allowed_origin(&list, NULL));
    assert_null(cors_allowed_origin(&none, "https://x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_allows_everybody),
        cmocka_unit_test(a_list_echoes_what_matches),
        cmocka_unit_test(a_list_refuses_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
