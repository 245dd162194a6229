/* SPDX-License-Identifier: MIT */
/* The tables of H26, H27 and H28. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/media_type.h"

#define JSONAPI "application/vnd.api+json"

static void content_types(void **state)
{
    static const struct {
        const char *header;
        enum media_kind kind;
    } rows[] = {
        {JSONAPI, MEDIA_KIND_JSONAPI},
        {"Application/Vnd.API+JSON", MEDIA_KIND_JSONAPI},
        {JSONAPI ";profile=\"http://example.com/a,b;c\"", MEDIA_KIND_JSONAPI},
        {JSONAPI " ; Profile=\"x\" ", MEDIA_KIND_JSONAPI},
        {JSONAPI ";", MEDIA_KIND_JSONAPI},
        {JSONAPI ";ext=\"https://jsonapi.org/ext/atomic\"", MEDIA_KIND_JSONAPI_WITH_UNKNOWN},
        {JSONAPI ";profile=\"x\";ext=\"y\"", MEDIA_KIND_JSONAPI_WITH_UNKNOWN},
        {JSONAPI "; charset=utf-8", MEDIA_KIND_JSONAPI_WITH_UNKNOWN},
        {JSONAPI ";v=1", MEDIA_KIND_JSONAPI_WITH_UNKNOWN},
        {JSONAPI ";q=1", MEDIA_KIND_JSONAPI_WITH_UNKNOWN},
        {JSONAPI ";junk", MEDIA_KIND_JSONAPI_WITH_UNKNOWN},
        {"application/json", MEDIA_KIND_OTHER},
        {"application/x+json", MEDIA_KIND_OTHER},
        {"application/x-www-form-urlencoded", MEDIA_KIND_OTHER},
        {"text/plain", MEDIA_KIND_OTHER},
        {"*/*", MEDIA_KIND_OTHER},
        {"garbage", MEDIA_KIND_OTHER},
        {";;\"", MEDIA_KIND_OTHER},
        {"", MEDIA_KIND_OTHER},
        {NULL, MEDIA_KIND_OTHER},
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(rows); i++) {
        if (media_content_type(rows[i].header) != rows[i].kind)
            fail_msg("%s", rows[i].header != NULL ? rows[i].header : "(absent)");
    }
}

static void accept_for_jsonapi(void **state)
{
    static const struct {
        const char *header;
        bool ok;
    } rows[] = {
        {NULL, true},
        {"*/*", true},
        {"application/*", true},
        {"application/json", true},
        {JSONAPI, true},
        {"APPLICATION/VND.API+JSON", true},
        {"text/html,*/*;q=0.8", true},
        {JSONAPI ";q=0.5", true},
        {JSONAPI ";v=1, " JSONAPI, true},
        {JSONAPI ";profile=\"x\"", true},
        {JSONAPI ";profile=\"a;ext=b,c\"", true},
        {"application/json;charset=utf-8", true},
        {JSONAPI ";v=1", false},
        {JSONAPI ";v=1, " JSONAPI ";v=2", false},
        {JSONAPI ";v=1, */*", false},
        {JSONAPI ";v=1, application/json", false},
        {JSONAPI ";ext=\"x\"", false},
        {JSONAPI ";ext=\"x\", " JSONAPI ";ext=\"y\";q=0.1", false},
        {"text/html", false},
        {"application/xml", false},
        {"garbage", false},
        {",,", false},
        {JSONAPI ";q=0", false},
        {JSONAPI ";q=0.000, application/json; q=0, */*;q=0.0", false},
        {JSONAPI ";q=0.001", true},
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(rows); i++) {
        if (media_accepts_jsonapi(rows[i].header) != rows[i].ok)
            fail_msg("%s", rows[i].header != NULL ? rows[i].header : "(absent)");
    }
}

/* H5, H28: any parameters will do. */
static void accept_for_the_leaderboard(void **state)
{
    assert_true(media_accepts_json(NULL));
    assert_true(media_accepts_json(JSONAPI));
    assert_true(media_accepts_json(JSONAPI ";v=1"));
    assert_true(media_accepts_json("application/json;charset=utf-8"));
    assert_true(media_accepts_json("text/html, application/*;q=0.1"));
    assert_true(media_accepts_json("*/*"));
    assert_false(media_accepts_json("text/html"));
    assert_false(media_accepts_json("application/json;q=0"));
    assert_false(media_accepts_json("garbage"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_types),
        cmocka_unit_test(accept_for_jsonapi),
        cmocka_unit_test(accept_for_the_leaderboard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
