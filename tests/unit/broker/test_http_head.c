/* SPDX-License-Identifier: MIT */
/* The request head: RFC 9112's grammar, the limits of C7, and arrival in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/connect/http_head.h"

/* Parses a heap copy of its exact size, so that ASan sees a read past the end. */
static char *copy;
static struct http_head head;

static int tear_down(void **state)
{
    free(copy);
    copy = NULL;
    return 0;
}

static enum http_head_result parse(struct tk_slice bytes)
{
    free(copy);
    copy = tk_xmalloc(bytes.len);
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    memset(&head, 0x5a, sizeof(head));
    return http_head_parse(tk_slice(copy, bytes.len), &head);
}

static void expect_result(struct tk_slice bytes, enum http_head_result should)
{
    enum http_head_result result = parse(bytes);
    if (result != should)
        fail_msg("result %d: %.*s", (int)result, (int)bytes.len, bytes.ptr);
}

#define OK(literal)  expect_result(TK_SLICE(literal), HTTP_HEAD_OK)
#define BAD(literal) expect_result(TK_SLICE(literal), HTTP_HEAD_BAD)

static void expect_slice(struct tk_slice is, const char *should)
{
    if (!tk_slice_eq_str(is, should))
        fail_msg("\"%.*s\" is not \"%s\"", (int)is.len, is.ptr, should);
}

static const char upgrade_request[] =
    "GET /socket/websocket?userToken=681adb8b-be3d-4fca-8858-2827609d9b22&vsn=2.0.0 HTTP/1.1\r\n"
    "Host: holoquest.example\r\n"
    "Connection: keep-alive, Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n";

static void request_is_sliced(void **state)
{
    expect_result(tk_slice_str(upgrade_request), HTTP_HEAD_OK);
    expect_slice(head.method, "GET");
    expect_slice(head.path, "/socket/websocket");
    expect_slice(head.query, "userToken=681adb8b-be3d-4fca-8858-2827609d9b22&vsn=2.0.0");
    assert_int_equal(head.minor_version, 1);
    assert_int_equal(head.header_count, 5);
    expect_slice(head.headers[1].name, "Connection");
    expect_slice(head.headers[1].value, "keep-alive, Upgrade");
    assert_int_equal(head.len, strlen(upgrade_request));
}

/* C9: what follows the blank line belongs to the next request or is an early frame. */
static void bytes_behind_the_head_are_left_alone(void **state)
{
    OK("GET / HTTP/1.1\r\n\r\n\0\1\n\n");
    assert_int_equal(head.len, 18);
}

static void every_prefix_wants_more(void **state)
{
    for (size_t len = 0; len < strlen(upgrade_request); len++)
        expect_result(tk_slice(upgrade_request, len), HTTP_HEAD_MORE);
}

static void query_may_be_absent_or_empty(void **state)
{
    OK("GET /healthz HTTP/1.1\r\n\r\n");
    expect_slice(head.path, "/healthz");
    expect_slice(head.query, "");
    OK("GET /a? HTTP/1.0\r\n\r\n");
    expect_slice(head.path, "/a");
    expect_slice(head.query, "");
    assert_int_equal(head.minor_version, 0);
    OK("GET /a?b?c=/d HTTP/1.1\r\n\r\n");
    expect_slice(head.query, "b?c=/d");
}

/* C3: clients send brackets unescaped. */
static void target_may_hold_any_visible_ascii(void **state)
{
    OK("GET /a?userToken[]=x&b={\"|\\^`<>}~%zz HTTP/1.1\r\n\r\n");
    expect_slice(head.query, "userToken[]=x&b={\"|\\^`<>}~%zz");
    BAD("GET /a#fragment HTTP/1.1\r\n\r\n");
    BAD("GET /\xc3\xa9 HTTP/1.1\r\n\r\n");
    BAD("GET /\x7f HTTP/1.1\r\n\r\n");
    BAD("GET /\t HTTP/1.1\r\n\r\n");
    BAD("GET /\0 HTTP/1.1\r\n\r\n");
}

/* RFC 9112, 3.2: absolute-form must be accepted, the asterisk is for OPTIONS. */
static void target_forms(void **state)
{
    OK("GET http://host:4000/socket/websocket?vsn=2.0.0 HTTP/1.1\r\n\r\n");
    expect_slice(head.path, "/socket/websocket");
    expect_slice(head.query, "vsn=2.0.0");
    OK("GET HTTPS://host//x HTTP/1.1\r\n\r\n");
    expect_slice(head.path, "//x");
    OK("OPTIONS * HTTP/1.1\r\n\r\n");
    expect_slice(head.path, "*");
    BAD("GET http://host HTTP/1.1\r\n\r\n");
    BAD("GET host:4000 HTTP/1.1\r\n\r\n");
    BAD("GET socket HTTP/1.1\r\n\r\n");
    BAD("GET *x HTTP/1.1\r\n\r\n");
    BAD("GET ?vsn=2.0.0 HTTP/1.1\r\n\r\n");
}

static void request_line_has_three_parts(void **state)
{
    BAD("GET / HTTP/1.1 \r\n\r\n");
    BAD("GET  / HTTP/1.1\r\n\r\n");
    BAD("GET /  HTTP/1.1\r\n\r\n");
    BAD("GET\t/ HTTP/1.1\r\n\r\n");
    BAD("GET /\r\n\r\n");
    BAD("GET\r\n\r\n");
    BAD("GET /a b HTTP/1.1\r\n\r\n");
    BAD("G(T / HTTP/1.1\r\n\r\n");
    OK("M-SEARCH / HTTP/1.1\r\n\r\n");
    expect_slice(head.method, "M-SEARCH");
}

static void version_must_be_http_1(void **state)
{
    OK("GET / HTTP/1.9\r\n\r\n");
    assert_int_equal(head.minor_version, 9);
    BAD("GET / HTTP/2.0\r\n\r\n");
    BAD("GET / HTTP/0.9\r\n\r\n");
    BAD("GET / HTTP/1.\r\n\r\n");
    BAD("GET / HTTP/1.x\r\n\r\n");
    BAD("GET / HTTP/1.10\r\n\r\n");
    BAD("GET / http/1.1\r\n\r\n");
    BAD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

/* Refused at the first byte: no wait for a blank line that never comes. */
static void other_protocols_are_refused_at_once(void **state)
{
    BAD("\x16\x03\x01\x02");     /* TLS */
    BAD("\r\n\r\n\0\r\nQUIT\n"); /* PROXY protocol 2 */
    BAD("\r\nGET / HTTP/1.1\r\n\r\n");
    BAD(" ");
}

static void bare_line_feed_is_refused(void **state)
{
    BAD("GET / HTTP/1.1\n\n");
    BAD("GET / HTTP/1.1\n");
    BAD("GET / HTTP/1.1\r\nHost: a\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\n\n");
    BAD("GET / HTTP/1.1\r\n\n");
}

static void bare_carriage_return_is_refused(void **state)
{
    BAD("GET / HTTP/1.1\r\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n");
}

static void folded_line_is_refused(void **state)
{
    BAD("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n");
    BAD("GET / HTTP/1.1\r\n X: a\r\n\r\n");
}

static void header_names_are_tokens(void **state)
{
    OK("GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\n: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nH(st: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n");
}

static void header_values_hold_no_controls(void **state)
{
    OK("GET / HTTP/1.1\r\nX: a\tb \x80\xff \"\\:\r\n\r\n");
    expect_slice(http_head_find(&head, "x", NULL), "a\tb \x80\xff \"\\:");
    BAD("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nX: a\x1b[0m\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nX: a\x7f\r\n\r\n");
}

static void header_values_are_trimmed(void **state)
{
    OK("GET / HTTP/1.1\r\nA:x\r\nB: \t x y \t \r\nC:\r\nD: \t\r\n\r\n");
    expect_slice(http_head_find(&head, "a", NULL), "x");
    expect_slice(http_head_find(&head, "b", NULL), "x y");
    expect_slice(http_head_find(&head, "c", NULL), "");
    expect_slice(http_head_find(&head, "d", NULL), "");
}

static void find_takes_the_first_in_any_case(void **state)
{
    bool found;

    OK("GET / HTTP/1.1\r\nORIGIN: one\r\nOrigin: two\r\nOriginal: three\r\nEmpty:\r\n\r\n");
    expect_slice(http_head_find(&head, "origin", &found), "one");
    assert_true(found);
    expect_slice(http_head_find(&head, "empty", &found), "");
    assert_true(found);
    expect_slice(http_head_find(&head, "orig", &found), "");
    assert_false(found);
}

static void lists_are_searched_in_all_lines(void **state)
{
    OK("GET / HTTP/1.1\r\nConnection: keep-alive ,\tUpGrade\r\nUpgrade: WebSocket\r\n"
       "connection: , ,close,\r\n\r\n");
    assert_true(http_head_lists(&head, "connection", "upgrade"));
    assert_true(http_head_lists(&head, "connection", "close"));
    assert_true(http_head_lists(&head, "upgrade", "websocket"));
    assert_false(http_head_lists(&head, "connection", "keep"));
    assert_false(http_head_lists(&head, "connection", "keep-alive2"));
    assert_false(http_head_lists(&head, "connection", ""));
    assert_false(http_head_lists(&head, "absent", "close"));
}

static void list_elements_come_in_order(void **state)
{
    static const char *const should[] = {"phoenix", "a.b", "last"};
    struct http_list_pos pos = {0};
    struct tk_slice element;

    OK("GET / HTTP/1.1\r\nP: phoenix,, a.b\r\nQ: other\r\nP:\r\nP: ,last , \r\n\r\n");
    for (size_t i = 0; i < TK_ARRAY_LEN(should); i++) {
        assert_true(http_head_next_listed(&head, "p", &pos, &element));
        expect_slice(element, should[i]);
    }
    assert_false(http_head_next_listed(&head, "p", &pos, &element));
    assert_false(http_head_next_listed(&head, "p", &pos, &element));
}

/*
 * Limits
 */

/* "GET /aaa... HTTP/1.1" of this many bytes, and what follows it. */
static enum http_head_result parse_request_line(size_t line_len, const char *rest)
{
    struct {
        char bytes[HTTP_HEAD_MAX + 100];
        size_t len;
    } text = {.len = line_len};
    static const char version[] = " HTTP/1.1";

    memset(text.bytes, 'a', line_len);
    memcpy(text.bytes, "GET /", 5);
    memcpy(text.bytes + line_len - strlen(version), version, strlen(version));
    memcpy(text.bytes + line_len, rest, strlen(rest));
    return parse(tk_slice(text.bytes, text.len + strlen(rest)));
}

/* C7: 8000 bytes must pass. */
static void request_line_is_limited(void **state)
{
    assert_int_equal(parse_request_line(8000, "\r\n\r\n"), HTTP_HEAD_OK);
    assert_int_equal(parse_request_line(HTTP_REQUEST_LINE_MAX, "\r\n\r\n"), HTTP_HEAD_OK);
    assert_int_equal(parse_request_line(HTTP_REQUEST_LINE_MAX, "\r"), HTTP_HEAD_MORE);
    assert_int_equal(parse_request_line(HTTP_REQUEST_LINE_MAX, ""), HTTP_HEAD_MORE);
    assert_int_equal(parse_request_line(HTTP_REQUEST_LINE_MAX + 1, "\r\n\r\n"), HTTP_HEAD_URI_LONG);
    assert_int_equal(parse_request_line(HTTP_REQUEST_LINE_MAX + 2, ""), HTTP_HEAD_URI_LONG);
    assert_int_equal(parse_request_line(HTTP_HEAD_MAX + 10, "\r\n\r\n"), HTTP_HEAD_URI_LONG);
}

/* A head of this many bytes, its blank line included. */
static enum http_head_result parse_head_of(size_t len, bool is_complete)
{
    static const char before[] = "GET / HTTP/1.1\r\nX: ";
    static char text[HTTP_HEAD_MAX + 100];

    memset(text, 'x', len);
    memcpy(text, before, strlen(before));
    if (is_complete)
        memcpy(text + len - 4, "\r\n\r\n", 4);
    return parse(tk_slice(text, len));
}

static void head_is_limited(void **state)
{
    assert_int_equal(parse_head_of(HTTP_HEAD_MAX, true), HTTP_HEAD_OK);
    assert_int_equal(parse_head_of(HTTP_HEAD_MAX - 1, false), HTTP_HEAD_MORE);
    assert_int_equal(parse_head_of(HTTP_HEAD_MAX, false), HTTP_HEAD_LARGE);
    assert_int_equal(parse_head_of(HTTP_HEAD_MAX + 1, true), HTTP_HEAD_LARGE);
}

static enum http_head_result parse_headers(size_t count)
{
    static char text[HTTP_HEAD_MAX];
    size_t len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "X-%zu: %zu\r\n", i, i);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "\r\n");
    return parse(tk_slice(text, len));
}

static void headers_are_counted(void **state)
{
    assert_int_equal(parse_headers(HTTP_HEAD_MAX_HEADERS), HTTP_HEAD_OK);
    assert_int_equal(head.header_count, HTTP_HEAD_MAX_HEADERS);
    assert_int_equal(parse_headers(HTTP_HEAD_MAX_HEADERS + 1), HTTP_HEAD_LARGE);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_is_sliced),
        TEST(bytes_behind_the_head_are_left_alone),
        TEST(every_prefix_wants_more),
        TEST(query_may_be_absent_or_empty),
        TEST(target_may_hold_any_visible_ascii),
        TEST(target_forms),
        TEST(request_line_has_three_parts),
        TEST(version_must_be_http_1),
        TEST(other_protocols_are_refused_at_once),
        TEST(bare_line_feed_is_refused),
        TEST(bare_carriage_return_is_refused),
        TEST(folded_line_is_refused),
        TEST(header_names_are_tokens),
        TEST(header_values_hold_no_controls),
        TEST(header_values_are_trimmed),
        TEST(find_takes_the_first_in_any_case),
        TEST(lists_are_searched_in_all_lines),
        TEST(list_elements_come_in_order),
        TEST(request_line_is_limited),
        TEST(head_is_limited),
        TEST(headers_are_counted),
    };
    return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
