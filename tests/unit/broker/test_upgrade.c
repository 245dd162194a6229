/* SPDX-License-Identifier: MIT */
/* May this request become a socket: C1-C16 in the order of C2, and the refusals of C7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/connect/upgrade.h"

#define UUID "681adb8b-be3d-4fca-8858-2827609d9b22"
/* base64 of UUID */
#define TOKEN "NjgxYWRiOGItYmUzZC00ZmNhLTg4NTgtMjgyNzYwOWQ5YjIy"
#define GOOD  "/socket/websocket?userToken=" UUID "&vsn=2.0.0"

#define UPGRADE_HEADERS                                                                            \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static char text[16384];
static struct http_head head;
static struct upgrade_request request;

static char *origin_items[] = {(char *)"https://app.example"};
static const struct tk_string_list any_origin, app_only = {origin_items, 1};

static void parse(const char *line, const char *headers)
{
    int len = snprintf(text, sizeof(text), "%s\r\nHost: a\r\n%s\r\n", line, headers);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    assert_int_equal(http_head_parse(tk_slice(text, (size_t)len), &head), HTTP_HEAD_OK);
    memset(&request, 0x5a, sizeof(request));
}

/* A GET of target with these headers. */
static enum upgrade_verdict check(const char *target, const char *headers)
{
    char line[9000];
    snprintf(line, sizeof(line), "GET %s HTTP/1.1", target);
    parse(line, headers);
    return upgrade_check_request(&head, &any_origin, &request);
}

static void expect_verdict(const char *target, enum upgrade_verdict should)
{
    enum upgrade_verdict verdict = check(target, "");
    if (verdict != should)
        fail_msg("verdict %d: %s", (int)verdict, target);
}

#define ACCEPTED(target)  expect_verdict(target, UPGRADE_OK)
#define FORBIDDEN(target) expect_verdict(target, UPGRADE_FORBIDDEN)

static void expect_user(const char *uuid)
{
    char formatted[TK_UUID_LEN + 1];
    assert_string_equal(tk_uuid_format(&request.user, formatted), uuid);
}

/*
 * Path and method
 */

/* C1 */
static void empty_path_segments_are_ignored(void **state)
{
    static const char *const same[] = {"/socket/websocket", "/socket/websocket/",
                                       "//socket//websocket//"};
    static const char *const other[] = {"/socket",
                                        "/socket/",
                                        "/",
                                        "*",
                                        "",
                                        "/socket/websocket/x",
                                        "/x/socket/websocket",
                                        "/socket/longpoll",
                                        "/socketwebsocket",
                                        "/socket/websocke",
                                        "/socket/websocket2",
                                        "/Socket/websocket",
                                        "/socket/web%73ocket"};

    for (size_t i = 0; i < TK_ARRAY_LEN(same); i++)
        assert_true(upgrade_path_is_socket(tk_slice_str(same[i])));
    for (size_t i = 0; i < TK_ARRAY_LEN(other); i++)
        assert_false(upgrade_path_is_socket(tk_slice_str(other[i])));
    ACCEPTED("/socket/websocket/?userToken=" UUID "&vsn=2.0.0");
}

static enum upgrade_verdict check_method(const char *method, const char *target)
{
    char line[200];
    snprintf(line, sizeof(line), "%s %s HTTP/1.1", method, target);
    parse(line, UPGRADE_HEADERS);
    return upgrade_check_request(&head, &any_origin, &request);
}

/* C7 */
static void only_get_may_upgrade(void **state)
{
    static const char *const methods[] = {"POST", "HEAD", "OPTIONS", "PUT", "get", "GETS"};

    assert_int_equal(check_method("GET", GOOD), UPGRADE_OK);
    for (size_t i = 0; i < TK_ARRAY_LEN(methods); i++)
        assert_int_equal(check_method(methods[i], GOOD), UPGRADE_BAD_METHOD);
}

static void other_paths_are_not_found(void **state)
{
    assert_int_equal(check_method("GET", "/socket/longpoll?vsn=2.0.0"), UPGRADE_NOT_FOUND);
    assert_int_equal(check_method("POST", "/"), UPGRADE_NOT_FOUND);
    assert_int_equal(check_method("HEAD", "/socket"), UPGRADE_NOT_FOUND_HEAD);
}

/*
 * vsn (C5)
 */

#define VSN(vsn) "/socket/websocket?userToken=" UUID "&vsn=" vsn

static void vsn_selects_the_serializer(void **state)
{
    static const char *const v1[] = {VSN("1.0.0"), VSN("1.0.5"), VSN("1.0.10"), VSN("1.0.1-a")};
    static const char *const v2[] = {VSN("2.0.0"),
                                     VSN("2.0.9"),
                                     VSN("2.0.1-rc.1"),
                                     VSN("2.0.0%2Bx"),
                                     VSN("2.0.99999999999999999999999"),
                                     VSN("2.0.0%2B001.a-b"),
                                     VSN("2.0.1-0.a-1.01b%2Bx.y"),
                                     VSN("3.0.0&vsn=2.0.0")};

    for (size_t i = 0; i < TK_ARRAY_LEN(v1); i++) {
        ACCEPTED(v1[i]);
        assert_int_equal(request.vsn, PHX_V1);
    }
    for (size_t i = 0; i < TK_ARRAY_LEN(v2); i++) {
        ACCEPTED(v2[i]);
        assert_int_equal(request.vsn, PHX_V2);
    }
}

static void absent_vsn_is_v1(void **state)
{
    ACCEPTED("/socket/websocket?userToken=" UUID);
    assert_int_equal(request.vsn, PHX_V1);
}

static void other_vsn_are_forbidden(void **state)
{
    FORBIDDEN(VSN("2.0"));
    FORBIDDEN(VSN(""));
    FORBIDDEN("/socket/websocket?userToken=" UUID "&vsn");
    FORBIDDEN(VSN("abc"));
    FORBIDDEN(VSN("9.9.9"));
    FORBIDDEN(VSN("0.0.0"));
    FORBIDDEN(VSN("2.1.0"));
    FORBIDDEN(VSN("1.1.0"));
    FORBIDDEN(VSN("1.1.0-rc.1"));
    FORBIDDEN(VSN("2.0.0-rc.1"));
    FORBIDDEN(VSN("1.0.0-rc.1"));
    FORBIDDEN(VSN("2.0.0-rc.1%2Bx"));
    FORBIDDEN("/socket/websocket?userToken=" UUID "&vsn[]=2.0.0");
    FORBIDDEN("/socket/websocket?userToken=" UUID "&vsn=2.0.0&vsn[a]=2.0.0");
}

static void vsn_is_strict_semver(void **state)
{
    FORBIDDEN(VSN("02.0.0"));
    FORBIDDEN(VSN("2.00.0"));
    FORBIDDEN(VSN("2.0.00"));
    FORBIDDEN(VSN("2.0.01"));
    FORBIDDEN(VSN("2.0.0.0"));
    FORBIDDEN(VSN("2.0."));
    FORBIDDEN(VSN("2..0"));
    FORBIDDEN(VSN("v2.0.0"));
    FORBIDDEN(VSN("-2.0.0"));
    FORBIDDEN(VSN("2.0.0x"));
    FORBIDDEN(VSN("2.0.0+x")); /* a blank once decoded */
    FORBIDDEN(VSN("%202.0.0"));
    FORBIDDEN(VSN("2.0.0%20"));
    FORBIDDEN(VSN("2.0.0%00"));
    FORBIDDEN(VSN("2.0.1-"));
    FORBIDDEN(VSN("2.0.1-01"));
    FORBIDDEN(VSN("2.0.1-a..b"));
    FORBIDDEN(VSN("2.0.1-a_b"));
    FORBIDDEN(VSN("2.0.0%2B"));
    FORBIDDEN(VSN("2.0.0%2Ba."));
    FORBIDDEN(VSN("2.0.0%2Ba%2Bb"));
}

/*
 * The user
 */

#define USER(token) "/socket/websocket?userToken=" token "&vsn=2.0.0"

/* C84, C85 */
static void spellings_of_a_user(void **state)
{
    static const char *const same[] = {
        USER(UUID),
        USER("681ADB8B-BE3D-4FCA-8858-2827609D9B22"),
        USER("681adB8b-be3d-4fca-8858-2827609D9b22"),
        USER("%20" UUID),
        USER("++" UUID "+"),
        USER("%09%0a" UUID "%0d%0a"),
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(same); i++) {
        ACCEPTED(same[i]);
        expect_user(UUID);
    }
}

/* C6, C84 */
static void what_is_no_user(void **state)
{
    FORBIDDEN("/socket/websocket?vsn=2.0.0");
    FORBIDDEN("/socket/websocket?&vsn=2.0.0");
    FORBIDDEN("/socket/websocket");
    FORBIDDEN(USER(""));
    FORBIDDEN(USER("+"));
    FORBIDDEN(USER("null"));
    FORBIDDEN(USER("681adb8bbe3d4fca88582827609d9b22"));
    FORBIDDEN(USER("%7B" UUID "%7D"));
    FORBIDDEN(USER("0123456789abcdef"));
    FORBIDDEN(USER(UUID "0"));
    FORBIDDEN(USER(UUID "%00"));
    FORBIDDEN(USER("681adb8b-be3d-4fca-8858-2827609d9b2g"));
    FORBIDDEN("/socket/websocket?userToken[]=" UUID "&vsn=2.0.0");
    FORBIDDEN("/socket/websocket?userToken[a]=" UUID "&vsn=2.0.0");
    FORBIDDEN("/socket/websocket?usertoken=" UUID "&vsn=2.0.0");
}

static enum upgrade_verdict check_protocols(const char *target, const char *protocols)
{
    char headers[1000];
    snprintf(headers, sizeof(headers), "Sec-WebSocket-Protocol: %s\r\n", protocols);
    return check(target, headers);
}

/* C14, C16: case matters, since browsers compare what is selected with what they offered. */
static void phoenix_protocol_is_noticed(void **state)
{
    assert_int_equal(check(GOOD, ""), UPGRADE_OK);
    assert_false(request.offers_phoenix_protocol);
    assert_int_equal(check_protocols(GOOD, "phoenix"), UPGRADE_OK);
    assert_true(request.offers_phoenix_protocol);
    assert_int_equal(check_protocols(GOOD, "chat, phoenix ,x"), UPGRADE_OK);
    assert_true(request.offers_phoenix_protocol);
    assert_int_equal(check_protocols(GOOD, "chat"), UPGRADE_OK);
    assert_false(request.offers_phoenix_protocol);
    assert_int_equal(check_protocols(GOOD, "Phoenix"), UPGRADE_OK);
    assert_false(request.offers_phoenix_protocol);
    assert_int_equal(
        check(GOOD, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: phoenix\r\n"),
        UPGRADE_OK);
    assert_true(request.offers_phoenix_protocol);
}

#define NO_USER   "/socket/websocket?vsn=2.0.0"
#define AUTH(b64) "phoenix, base64url.bearer.phx." b64

/* C15 */
static void auth_token_stands_in_for_the_user(void **state)
{
    assert_int_equal(check_protocols(NO_USER, AUTH(TOKEN)), UPGRADE_OK);
    expect_user(UUID);
    assert_true(request.offers_phoenix_protocol);
    assert_int_equal(check_protocols(NO_USER, "base64url.bearer.phx." TOKEN ", phoenix"),
                     UPGRADE_OK);
    expect_user(UUID);
}

static void auth_token_in_all_spellings_of_base64(void **state)
{
    /* The UUID behind one, two and three blanks: two, one and no padding characters. */
    static const char *const same[] = {
        AUTH("IDY4MWFkYjhiLWJlM2QtNGZjYS04ODU4LTI4Mjc2MDlkOWIyMg"),
        AUTH("IDY4MWFkYjhiLWJlM2QtNGZjYS04ODU4LTI4Mjc2MDlkOWIyMg=="),
        AUTH("ICA2ODFhZGI4Yi1iZTNkLTRmY2EtODg1OC0yODI3NjA5ZDliMjI"),
        AUTH("ICA2ODFhZGI4Yi1iZTNkLTRmY2EtODg1OC0yODI3NjA5ZDliMjI="),
        AUTH("ICAgNjgxYWRiOGItYmUzZC00ZmNhLTg4NTgtMjgyNzYwOWQ5YjIy"),
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(same); i++) {
        assert_int_equal(check_protocols(NO_USER, same[i]), UPGRADE_OK);
        expect_user(UUID);
    }
}

static void auth_token_that_does_not_decode_is_forbidden(void **state)
{
    static const char *const bad[] = {
        AUTH(""),
        AUTH("N"),
        AUTH("===="),
        AUTH(TOKEN "="),
        AUTH(TOKEN "===="),
        AUTH("IDY4MWFkYjhiLWJlM2QtNGZjYS04ODU4LTI4Mjc2MDlkOWIyMg="),
        AUTH("IDY4MWFkYjhiLWJlM2QtNGZjYS04ODU4LTI4Mjc2MDlkOWIyMg==="),
        AUTH("Njgx YWRi"),
        AUTH("Njgx!WRiOGItYmUzZC00ZmNhLTg4NTgtMjgyNzYwOWQ5YjIy"),
        AUTH("\xff\xff\xff\xff"),
        AUTH("____"), /* decodes, but is no UUID */
        AUTH("+/-_"),
        "phoenix",
        "phoenix, base64url.bearer.phy." TOKEN,
        "phoenix, " TOKEN,
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(bad); i++)
        assert_int_equal(check_protocols(NO_USER, bad[i]), UPGRADE_FORBIDDEN);
}

/* C16: without phoenix among them, offers mean nothing. */
static void auth_token_without_phoenix_is_ignored(void **state)
{
    assert_int_equal(check_protocols(NO_USER, "base64url.bearer.phx." TOKEN), UPGRADE_FORBIDDEN);
}

static void user_in_the_query_comes_first(void **state)
{
    assert_int_equal(check_protocols(GOOD, AUTH("!")), UPGRADE_OK);
    expect_user(UUID);
    assert_int_equal(check_protocols(USER(""), AUTH(TOKEN)), UPGRADE_FORBIDDEN);
    assert_int_equal(check_protocols("/socket/websocket?userToken[]=x&vsn=2.0.0", AUTH(TOKEN)),
                     UPGRADE_FORBIDDEN);
}

/*
 * Origin and order
 */

static enum upgrade_verdict check_origin(const char *headers)
{
    check(GOOD, headers);
    return upgrade_check_request(&head, &app_only, &request);
}

/* C10 */
static void first_origin_decides(void **state)
{
    assert_int_equal(check_origin(""), UPGRADE_OK);
    assert_int_equal(check_origin("Origin: https://app.example\r\n"), UPGRADE_OK);
    assert_int_equal(check_origin("Origin: https://evil.example\r\n"), UPGRADE_FORBIDDEN);
    assert_int_equal(check_origin("Origin: null\r\n"), UPGRADE_FORBIDDEN);
    assert_int_equal(check_origin("Origin:\r\n"), UPGRADE_FORBIDDEN);
    assert_int_equal(
        check_origin("Origin: https://app.example\r\nOrigin: https://evil.example\r\n"),
        UPGRADE_OK);
    assert_int_equal(
        check_origin("Origin: https://evil.example\r\nOrigin: https://app.example\r\n"),
        UPGRADE_FORBIDDEN);
}

/* C2: each request fails in all that comes later, too. */
static void first_failure_answers(void **state)
{
    parse("POST /x?%ff HTTP/1.0", "Origin: https://evil.example\r\n");
    assert_int_equal(upgrade_check_request(&head, &app_only, &request), UPGRADE_NOT_FOUND);
    parse("POST /socket/websocket?%ff HTTP/1.0", "Origin: https://evil.example\r\n");
    assert_int_equal(upgrade_check_request(&head, &app_only, &request), UPGRADE_BAD_METHOD);
    parse("GET /socket/websocket?userToken=%ff HTTP/1.0", "Origin: https://evil.example\r\n");
    assert_int_equal(upgrade_check_request(&head, &app_only, &request), UPGRADE_BAD_QUERY);
    parse("GET /socket/websocket HTTP/1.0", "Origin: https://evil.example\r\n");
    assert_int_equal(upgrade_check_request(&head, &app_only, &request), UPGRADE_FORBIDDEN);
    parse("GET /socket/websocket?vsn=3.0.0 HTTP/1.0", "");
    assert_int_equal(upgrade_check_request(&head, &app_only, &request), UPGRADE_FORBIDDEN);
    parse("GET " GOOD " HTTP/1.0", "");
    assert_int_equal(upgrade_check_request(&head, &app_only, &request), UPGRADE_OK);
    assert_int_equal(upgrade_check_headers(&head, &request), UPGRADE_BAD_REQUEST);
}

/*
 * Upgrade headers
 */

static enum upgrade_verdict check_headers(const char *headers)
{
    assert_int_equal(check(GOOD, headers), UPGRADE_OK);
    return upgrade_check_headers(&head, &request);
}

#define CONNECTION "Connection: Upgrade\r\n"
#define UPGRADE    "Upgrade: websocket\r\n"
#define VERSION    "Sec-WebSocket-Version: 13\r\n"
#define KEY        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* C8 */
static void complete_upgrade_is_accepted(void **state)
{
    assert_int_equal(check_headers(UPGRADE_HEADERS), UPGRADE_OK);
    assert_true(tk_slice_eq_str(request.key, "dGhlIHNhbXBsZSBub25jZQ=="));
    assert_int_equal(check_headers("connection: keep-alive, Upgrade\r\n"
                                   "UPGRADE: WebSocket\r\n" VERSION KEY),
                     UPGRADE_OK);
    assert_int_equal(check_headers(CONNECTION UPGRADE VERSION "Sec-WebSocket-Key: x\r\n"),
                     UPGRADE_OK);
}

static void missing_upgrade_headers(void **state)
{
    assert_int_equal(check_headers(""), UPGRADE_REQUIRED);
    assert_int_equal(check_headers(UPGRADE VERSION KEY), UPGRADE_REQUIRED);
    assert_int_equal(check_headers(CONNECTION VERSION KEY), UPGRADE_REQUIRED);
    assert_int_equal(check_headers("Connection: keep-alive\r\n" UPGRADE VERSION KEY),
                     UPGRADE_REQUIRED);
    assert_int_equal(check_headers(CONNECTION "Upgrade: h2c\r\n" VERSION KEY), UPGRADE_REQUIRED);
}

static void version_must_be_13(void **state)
{
    assert_int_equal(check_headers(CONNECTION UPGRADE KEY), UPGRADE_BAD_VERSION);
    assert_int_equal(check_headers(CONNECTION UPGRADE KEY "Sec-WebSocket-Version: 8\r\n"),
                     UPGRADE_BAD_VERSION);
    assert_int_equal(check_headers(CONNECTION UPGRADE KEY "Sec-WebSocket-Version: 130\r\n"),
                     UPGRADE_BAD_VERSION);
    assert_int_equal(check_headers(CONNECTION UPGRADE KEY "Sec-WebSocket-Version: 013\r\n"),
                     UPGRADE_BAD_VERSION);
}

/* The key is written into a request of our own for libwebsockets. */
static void key_must_be_present_and_plain(void **state)
{
    char headers[400];

    assert_int_equal(check_headers(CONNECTION UPGRADE VERSION), UPGRADE_BAD_REQUEST);
    assert_int_equal(check_headers(CONNECTION UPGRADE VERSION "Sec-WebSocket-Key:\r\n"),
                     UPGRADE_BAD_REQUEST);
    assert_int_equal(check_headers(CONNECTION UPGRADE VERSION "Sec-WebSocket-Key: a b\r\n"),
                     UPGRADE_BAD_REQUEST);
    assert_int_equal(check_headers(CONNECTION UPGRADE VERSION "Sec-WebSocket-Key: a\xff\r\n"),
                     UPGRADE_BAD_REQUEST);
    snprintf(headers, sizeof(headers), CONNECTION UPGRADE VERSION "Sec-WebSocket-Key: %0127d\r\n",
             0);
    assert_int_equal(check_headers(headers), UPGRADE_OK);
    snprintf(headers, sizeof(headers), CONNECTION UPGRADE VERSION "Sec-WebSocket-Key: %0128d\r\n",
             0);
    assert_int_equal(check_headers(headers), UPGRADE_BAD_REQUEST);
}

/*
 * Refusals (C7), to the byte
 */

static void expect_refusal(enum upgrade_verdict verdict, bool keep_alive, const char *should)
{
    struct tk_buf out = {0};
    upgrade_write_refusal(verdict, keep_alive, &out);
    assert_string_equal(tk_buf_str(&out), should);
    tk_buf_fini(&out);
}

static void empty_refusals(void **state)
{
    expect_refusal(UPGRADE_BAD_METHOD, true,
                   "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    expect_refusal(UPGRADE_BAD_REQUEST, true,
                   "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    expect_refusal(UPGRADE_FORBIDDEN, true, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    expect_refusal(UPGRADE_UNAVAILABLE, true,
                   "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                   "Retry-After: 5\r\n\r\n");
    expect_refusal(UPGRADE_REQUIRED, true,
                   "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n"
                   "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    expect_refusal(UPGRADE_BAD_VERSION, true,
                   "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Connection: upgrade\r\n\r\n");
}

static void refusals_with_a_body(void **state)
{
    expect_refusal(UPGRADE_NOT_FOUND, true,
                   "HTTP/1.1 404 Not Found\r\nContent-Type: application/json; charset=utf-8\r\n"
                   "Content-Length: 33\r\n\r\n{\"errors\":{\"detail\":\"Not Found\"}}");
    expect_refusal(UPGRADE_BAD_QUERY, true,
                   "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\n"
                   "Content-Length: 35\r\n\r\n{\"errors\":{\"detail\":\"Bad Request\"}}");
}

/* A body here would be read as the beginning of the next response. */
static void answer_to_head_has_no_body(void **state)
{
    expect_refusal(UPGRADE_NOT_FOUND_HEAD, true,
                   "HTTP/1.1 404 Not Found\r\nContent-Type: application/json; charset=utf-8\r\n"
                   "Content-Length: 33\r\n\r\n");
}

static void refusals_say_when_they_close(void **state)
{
    expect_refusal(UPGRADE_FORBIDDEN, false,
                   "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    expect_refusal(UPGRADE_REQUIRED, false,
                   "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n"
                   "Upgrade: websocket\r\nConnection: upgrade, close\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_path_segments_are_ignored),
        cmocka_unit_test(only_get_may_upgrade),
        cmocka_unit_test(other_paths_are_not_found),
        cmocka_unit_test(vsn_selects_the_serializer),
        cmocka_unit_test(absent_vsn_is_v1),
        cmocka_unit_test(other_vsn_are_forbidden),
        cmocka_unit_test(vsn_is_strict_semver),
        cmocka_unit_test(spellings_of_a_user),
        cmocka_unit_test(what_is_no_user),
        cmocka_unit_test(phoenix_protocol_is_noticed),
        cmocka_unit_test(auth_token_stands_in_for_the_user),
        cmocka_unit_test(auth_token_in_all_spellings_of_base64),
        cmocka_unit_test(auth_token_that_does_not_decode_is_forbidden),
        cmocka_unit_test(auth_token_without_phoenix_is_ignored),
        cmocka_unit_test(user_in_the_query_comes_first),
        cmocka_unit_test(first_origin_decides),
        cmocka_unit_test(first_failure_answers),
        cmocka_unit_test(complete_upgrade_is_accepted),
        cmocka_unit_test(missing_upgrade_headers),
        cmocka_unit_test(version_must_be_13),
        cmocka_unit_test(key_must_be_present_and_plain),
        cmocka_unit_test(empty_refusals),
        cmocka_unit_test(refusals_with_a_body),
        cmocka_unit_test(answer_to_head_has_no_body),
        cmocka_unit_test(refusals_say_when_they_close),
    };
    return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
