/* SPDX-License-Identifier: MIT */
/* Origins against the configured list: C10-C13. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/connect/upgrade.h"

/* Is origin allowed by this one rule? */
static bool allows(const char *rule, const char *origin)
{
    char *items[] = {(char *)rule};
    const struct tk_string_list list = {items, 1};
    return origin_is_allowed(tk_slice_str(origin), &list);
}

static bool allowed_in_production(const char *origin)
{
    char *items[] = {(char *)"https://holoquest.hololivefanbooth.com", (char *)"//*.netlify.app"};
    const struct tk_string_list list = {items, TK_ARRAY_LEN(items)};
    return origin_is_allowed(tk_slice_str(origin), &list);
}

/* C12 */
static void vectors_of_the_contract(void **state)
{
    assert_true(allowed_in_production("https://holoquest.hololivefanbooth.com"));
    assert_true(allowed_in_production("https://holoquest.hololivefanbooth.com:443"));
    assert_true(allowed_in_production("https://deploy-1--x.netlify.app"));
    assert_true(allowed_in_production("http://a.b.netlify.app:99"));
    assert_true(allowed_in_production("https://netlify.app"));

    assert_false(allowed_in_production("http://holoquest.hololivefanbooth.com"));
    assert_false(allowed_in_production("https://holoquest.hololivefanbooth.com:8443"));
    assert_false(allowed_in_production("https://evilnetlify.app"));
    assert_false(allowed_in_production("null"));
    assert_false(allowed_in_production("https://evil.example"));
}

static void empty_list_allows_any(void **state)
{
    const struct tk_string_list none = {0};

    assert_true(origin_is_allowed(TK_SLICE("https://evil.example"), &none));
    assert_true(origin_is_allowed(TK_SLICE("null"), &none));
    assert_true(origin_is_allowed(TK_SLICE(""), &none));
}

static void host_and_scheme_in_any_case(void **state)
{
    assert_true(allows("https://app.example", "HTTPS://APP.Example"));
    assert_true(allows("//*.Netlify.App", "https://x.nEtLiFy.aPp"));
}

/* C11: a scheme implies its port, a missing scheme or port matches any. */
static void ports(void **state)
{
    assert_true(allows("http://a", "http://a:80"));
    assert_true(allows("http://a:80", "http://a"));
    assert_false(allows("http://a", "http://a:81"));
    assert_true(allows("http://a:81", "http://a:81"));
    assert_true(allows("//a:81", "http://a:81"));
    assert_true(allows("//a:81", "https://a:81"));
    assert_false(allows("//a:81", "https://a"));
    assert_true(allows("//a:443", "https://a"));
    assert_true(allows("//a", "https://a:81"));
    assert_true(allows("app://a", "app://a"));
    assert_false(allows("//a:1", "app://a"));
}

static void malformed_ports_match_nothing(void **state)
{
    assert_false(allows("//a", "http://a:"));
    assert_false(allows("//a", "http://a:x"));
    assert_false(allows("//a", "http://a:80x"));
    assert_false(allows("//a", "http://a:65536"));
    assert_false(allows("//a", "http://a:4294967376"));
    assert_true(allows("//a", "http://a:65535"));
}

static void wildcard_needs_a_whole_label(void **state)
{
    assert_true(allows("//*.x.example", "https://x.example"));
    assert_true(allows("//*.x.example", "https://a.b.x.example"));
    assert_false(allows("//*.x.example", "https://ax.example"));
    assert_false(allows("//*.x.example", "https://.x.example"));
    assert_false(allows("//*.x.example", "https://x.example.evil"));
    assert_false(allows("//x.example", "https://a.x.example"));
}

static void addresses_in_brackets(void **state)
{
    assert_true(allows("http://[::1]:3000", "http://[::1]:3000"));
    assert_true(allows("//[::1]", "http://[::1]"));
    assert_false(allows("http://[::1]:3000", "http://[::1]:3001"));
    assert_false(allows("//[::1]", "http://[::1]x"));
    assert_false(allows("//[::1]", "http://[::1"));
}

static void what_is_no_origin_matches_nothing(void **state)
{
    assert_false(allows("//a", ""));
    assert_false(allows("//a", "a"));
    assert_false(allows("//a", "//a"));
    assert_false(allows("//a", "://a"));
    assert_false(allows("//a", "https:a"));
    assert_false(allows("//a", "https//a"));
    assert_false(allows("//a", "https://a/"));
    assert_false(allows("//a", "https://user@a"));
    assert_false(allows("//a", "https://a?b"));
    assert_false(allows("//a", "https://a#b"));
    assert_false(allows("//a", "https://a https://b"));
    assert_false(allows("//a", "https://b,https://a"));
    assert_false(allows("//a", "https://"));
    assert_false(allows("//a", "https://:80"));
    assert_false(allows("//\xc3\xa9", "https://\xc3\xa9"));
}

static void malformed_rules_match_nothing(void **state)
{
    assert_false(allows("a", "https://a"));
    assert_false(allows("*", "https://a"));
    assert_false(allows("null", "null"));
    assert_false(allows("https://a/path", "https://a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_contract),
        cmocka_unit_test(empty_list_allows_any),
        cmocka_unit_test(host_and_scheme_in_any_case),
        cmocka_unit_test(ports),
        cmocka_unit_test(malformed_ports_match_nothing),
        cmocka_unit_test(wildcard_needs_a_whole_label),
        cmocka_unit_test(addresses_in_brackets),
        cmocka_unit_test(what_is_no_origin_matches_nothing),
        cmocka_unit_test(malformed_rules_match_nothing),
    };
    return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
