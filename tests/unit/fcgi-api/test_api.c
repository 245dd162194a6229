/* SPDX-License-Identifier: MIT */
/*
 * Whole exchanges, from CGI variables to the bytes of the answer, with no database in reach: what
 * is refused before the database must be refused without it (H92), and what needs it is 503.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/tk_json.h"
#include "common/tk_log.h"
#include "fcgi-api/api.h"

#define USERS     "REQUEST_URI=/api/json/accounts/users/"
#define ONE_USER  "REQUEST_URI=/api/json/accounts/users/681a6b2e-9f00-4abc-800d-0123456789ab"
#define LEADERS   "REQUEST_URI=/api/json/leaderboard"
#define TOKEN     "HTTP_AUTHORIZATION=Bearer secret"
#define ADMIN     "HTTP_AUTHORIZATION=Bearer root"
#define JSONAPI   "CONTENT_TYPE=application/vnd.api+json"
#define GOOD_BODY "{\"data\":{\"type\":\"user\",\"attributes\":{\"nickname\":\"Calm_KFP\"}}}"

static char token[] = "secret", admin[] = "root", star[] = "*";
static char database[] = "postgres://x@localhost/x?host=/nonexistent", no_words[] = "none";
static char *tokens[] = {token}, *origins[] = {star};
static struct api_settings settings;
static struct api api;

static int set_up(void **state)
{
    settings = (struct api_settings){
        .tokens = {tokens, 1},
        .admin_token = admin,
        .database_url = database,
        .database_timeout_ms = 1000,
        .cors_origins = {origins, 1},
        .nickname_max = 24,
        .stamps_max = 10,
        .body_max = 1000,
        .leaderboard_max = 1000,
        .profanity_file = no_words,
    };
    tk_log_init(TK_LOG_ERROR, "test");
    return api_init(&api, &settings);
}

static int tear_down(void **state)
{
    api_fini(&api);
    return 0;
}

struct source {
    const char *text;
    size_t len, taken;
};

static ssize_t read_source(void *arg, char *into, size_t size)
{
    struct source *source = arg;
    size_t left = source->len - source->taken, len = left < size ? left : size;

    memcpy(into, source->text + source->taken, len);
    source->taken += len;
    return (ssize_t)len;
}

/* The last answer, as the web server would get it. */
static char wire[32768];
static int status;
static size_t body_bytes_read;

/* variables: "NAME=value", NULL terminated. */
static void ask(const char *const *variables, const char *body)
{
    struct source source = {body, strlen(body), 0};
    struct request request;
    struct response response = {0};
    struct tk_buf out = {0};

    request_init(&request, (char *const *)variables, (struct body_source){read_source, &source});
    api_handle(&api, &request, &response);
    response_write(&response, &request, &settings.cors_origins, &out);
    assert_in_range(out.len, 1, sizeof(wire) - 1);
    snprintf(wire, sizeof(wire), "%s", tk_buf_str(&out));
    status = response.status;
    body_bytes_read = source.taken;
    tk_buf_fini(&out);
    response_fini(&response);
    request_fini(&request);
}

#define ASK(...)        ask((const char *const[]){__VA_ARGS__, NULL}, "")
#define SEND(body, ...) ask((const char *const[]){__VA_ARGS__, NULL}, body)

static const char *header(const char *name)
{
    static char value[512];
    char start[64];

    snprintf(start, sizeof(start), "\r\n%s: ", name);
    const char *end = strstr(wire, "\r\n\r\n"), *at = strstr(wire, start);
    assert_non_null(end);
    if (at == NULL || at > end)
        return NULL;
    at += strlen(start);
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static const char *answer_body(void)
{
    const char *end = strstr(wire, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

/*
 * Every answer that is an error: its status and code, a document as H7 and H89 want it, the CORS
 * headers (H2), and the rest of H11.
 */
static void expect_error(int wanted, const char *code)
{
    json_object *document = json_tokener_parse(answer_body()), *errors, *error, *member;
    static const char *const members[] = {"code", "detail", "id", "status", "title"};

    if (status != wanted)
        fail_msg("%s", wire);
    assert_non_null(document);
    assert_true(json_object_object_get_ex(document, "errors", &errors));
    assert_false(json_object_object_get_ex(document, "data", &member));
    assert_true(json_object_is_type(errors, json_type_array));
    assert_int_not_equal(json_object_array_length(errors), 0);
    error = json_object_array_get_idx(errors, 0);
    for (size_t i = 0; i < TK_ARRAY_LEN(members); i++) {
        assert_true(json_object_object_get_ex(error, members[i], &member));
        assert_true(json_object_is_type(member, json_type_string));
    }
    assert_string_equal(json_object_get_string(json_object_object_get(error, "code")), code);
    assert_int_equal(atoi(json_object_get_string(json_object_object_get(error, "status"))), wanted);
    json_object_put(document);

    assert_string_equal(header("Access-Control-Allow-Origin"), "*");
    assert_string_equal(header("Access-Control-Expose-Headers"),
                        "ETag, Location, Retry-After, X-Request-Id");
    assert_string_equal(header("Content-Type"), "application/vnd.api+json");
    assert_string_equal(header("Cache-Control"), "no-store");
    assert_string_equal(header("X-Content-Type-Options"), "nosniff");
    assert_int_equal(atoi(header("Content-Length")), strlen(answer_body()));
    assert_non_null(header("X-Request-Id"));
}

/* H19: before routing and without a token, on any path. */
static void a_preflight_is_answered_anywhere(void **state)
{
    static const char *const paths[] = {USERS, ONE_USER, LEADERS, "REQUEST_URI=/nowhere"};

    for (size_t i = 0; i < TK_ARRAY_LEN(paths); i++) {
        ASK("REQUEST_METHOD=OPTIONS", paths[i], "HTTP_ORIGIN=https://holoquest.example",
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST");
        assert_int_equal(status, 204);
        assert_string_equal(header("Access-Control-Allow-Origin"), "*");
        assert_string_equal(header("Access-Control-Allow-Methods"),
                            "GET, HEAD, POST, PATCH, OPTIONS");
        assert_non_null(strstr(header("Access-Control-Allow-Headers"), "Authorization"));
        assert_non_null(strstr(header("Access-Control-Allow-Headers"), "If-Match"));
        assert_string_equal(header("Access-Control-Max-Age"), "86400");
        assert_null(header("Access-Control-Allow-Credentials"));
        assert_null(header("Content-Length"));
        assert_string_equal(answer_body(), "");
    }
}

/* H20 */
static void plain_options_tells_the_methods(void **state)
{
    ASK("REQUEST_METHOD=OPTIONS", ONE_USER);
    assert_int_equal(status, 204);
    assert_string_equal(header("Allow"), "GET, HEAD, PATCH, OPTIONS");
    assert_string_equal(header("Access-Control-Allow-Origin"), "*");
    assert_null(header("Content-Length"));
    ASK("REQUEST_METHOD=OPTIONS", "REQUEST_URI=/nowhere");
    expect_error(404, "NotFound");
}

/* H22: no token needed to be told that. */
static void unknown_paths_are_404(void **state)
{
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/nowhere");
    expect_error(404, "NotFound");
    ASK("REQUEST_METHOD=POST", "REQUEST_URI=/api/json/accounts/nothing");
    expect_error(404, "NotFound");
    ASK("REQUEST_METHOD=GET");
    expect_error(404, "NotFound");
}

/* H17 */
static void without_the_token_it_is_401(void **state)
{
    ASK("REQUEST_METHOD=GET", LEADERS);
    expect_error(401, "Unauthorized");
    assert_string_equal(header("WWW-Authenticate"), "Bearer realm=\"tako\"");
    ASK("REQUEST_METHOD=GET", LEADERS, "HTTP_AUTHORIZATION=Bearer wrong");
    expect_error(401, "Unauthorized");
    assert_string_equal(header("WWW-Authenticate"),
                        "Bearer realm=\"tako\", error=\"invalid_token\"");
    ASK("REQUEST_METHOD=GET", LEADERS, TOKEN, TOKEN);
    expect_error(401, "Unauthorized");
    ASK("REQUEST_METHOD=GET", LEADERS "?token=secret");
    expect_error(401, "Unauthorized");
}

/* H23, H88 */
static void wrong_methods_are_405(void **state)
{
    ASK("REQUEST_METHOD=DELETE", ONE_USER, TOKEN);
    expect_error(405, "MethodNotAllowed");
    assert_string_equal(header("Allow"), "GET, HEAD, PATCH, OPTIONS");
    assert_non_null(strstr(wire, "Use GET, HEAD, PATCH or OPTIONS."));
    ASK("REQUEST_METHOD=PATCH", USERS, TOKEN);
    expect_error(405, "MethodNotAllowed");
    ASK("REQUEST_METHOD=POST", LEADERS, TOKEN);
    expect_error(405, "MethodNotAllowed");
    /* H25: no override. */
    SEND("{}", "REQUEST_METHOD=POST", ONE_USER, TOKEN, "HTTP_X_HTTP_METHOD_OVERRIDE=PATCH");
    expect_error(405, "MethodNotAllowed");
}

/* H76, H95 */
static void the_list_is_for_the_administrator(void **state)
{
    ASK("REQUEST_METHOD=GET", USERS, TOKEN);
    expect_error(403, "Forbidden");
    ASK("REQUEST_METHOD=HEAD", USERS, TOKEN);
    assert_int_equal(status, 403);
    ASK("REQUEST_METHOD=GET", USERS, ADMIN);
    expect_error(503, "ServiceUnavailable"); /* let through, to the database that is away */
}

/* H26, H27, H5 */
static void negotiation(void **state)
{
    ASK("REQUEST_METHOD=GET", ONE_USER, TOKEN, "HTTP_ACCEPT=text/html");
    expect_error(406, "UnacceptableMediaType");
    SEND(GOOD_BODY, "REQUEST_METHOD=POST", USERS, TOKEN, "CONTENT_TYPE=application/json");
    expect_error(415, "UnsupportedMediaType");
    SEND(GOOD_BODY, "REQUEST_METHOD=POST", USERS, TOKEN);
    expect_error(415, "UnsupportedMediaType");
    ASK("REQUEST_METHOD=GET", ONE_USER, TOKEN, JSONAPI ";charset=utf-8");
    expect_error(415, "UnsupportedMediaType");
    /* H4: a GET with our Content-Type and no body gets as far as the database. */
    ASK("REQUEST_METHOD=GET", ONE_USER, TOKEN, JSONAPI);
    expect_error(503, "ServiceUnavailable");
    ASK("REQUEST_METHOD=GET", ONE_USER, TOKEN, "CONTENT_TYPE=text/plain");
    expect_error(503, "ServiceUnavailable");
    ASK("REQUEST_METHOD=GET", LEADERS, TOKEN, "HTTP_ACCEPT=application/vnd.api+json", JSONAPI);
    expect_error(503, "ServiceUnavailable");
    ASK("REQUEST_METHOD=GET", LEADERS, TOKEN, "HTTP_ACCEPT=text/html");
    expect_error(406, "UnacceptableMediaType");
}

/* H29 */
static void large_bodies_are_413_unread(void **state)
{
    SEND("{}", "REQUEST_METHOD=POST", USERS, TOKEN, JSONAPI, "CONTENT_LENGTH=1001");
    expect_error(413, "PayloadTooLarge");
    assert_int_equal(body_bytes_read, 0);
}

/* H8, H99: an unauthenticated client cannot make us read its body. */
static void nothing_is_read_before_the_token(void **state)
{
    SEND(GOOD_BODY, "REQUEST_METHOD=POST", USERS, JSONAPI);
    expect_error(401, "Unauthorized");
    assert_int_equal(body_bytes_read, 0);
}

/* H8: what a request does wrong first is what it hears of. */
static void the_order_of_checks(void **state)
{
    const char *const bad[] = {
        "REQUEST_METHOD=DELETE",
        "REQUEST_URI=/api/json/accounts/users/x?foo=1",
        "HTTP_ACCEPT=text/html",
        "CONTENT_TYPE=text/plain",
        "CONTENT_LENGTH=99999",
        "HTTP_AUTHORIZATION=Bearer wrong",
        NULL,
    };
    const char *request[TK_ARRAY_LEN(bad)];

    memcpy(request, bad, sizeof(bad));
    ask(request, "{");
    expect_error(401, "Unauthorized");
    request[5] = TOKEN;
    ask(request, "{");
    expect_error(405, "MethodNotAllowed");
    request[0] = "REQUEST_METHOD=PATCH";
    ask(request, "{");
    expect_error(406, "UnacceptableMediaType");
    request[2] = "HTTP_ACCEPT=*/*";
    ask(request, "{");
    expect_error(415, "UnsupportedMediaType");
    request[3] = JSONAPI;
    ask(request, "{");
    expect_error(413, "PayloadTooLarge");
    request[4] = "CONTENT_LENGTH=";
    ask(request, "{");
    expect_error(400, "InvalidQuery");
    request[1] = "REQUEST_URI=/api/json/accounts/users/x";
    ask(request, "{");
    expect_error(400, "InvalidJSON");
    ask(request, "{}");
    expect_error(400, "InvalidBody");
    ask(request, "{\"data\":{\"type\":\"user\",\"attributes\":{\"stamps_collected\":11}}}");
    expect_error(400, "invalid_attribute");
    ask(request, "{\"data\":{\"type\":\"user\"}}");
    expect_error(404, "NotFound"); /* H71: no UUID, found out without the database */
    request[1] = ONE_USER;
    ask(request, "{\"data\":{\"type\":\"user\"}}");
    expect_error(503, "ServiceUnavailable");
}

/* H70, H71: without a database round trip, and without the id in the answer. */
static void a_malformed_id_is_an_unknown_one(void **state)
{
    static const char *const ids[] = {
        "not-a-uuid",
        "681a6b2e9f004abc800d0123456789ab",
        "%7B681a6b2e-9f00-4abc-800d-0123456789ab%7D",
        "0123456789abcdef",
        "681a6b2e-9f00-4abc-800d-0123456789ab%20",
    };
    char uri[128];

    for (size_t i = 0; i < TK_ARRAY_LEN(ids); i++) {
        snprintf(uri, sizeof(uri), USERS "%s", ids[i]);
        ASK("REQUEST_METHOD=GET", uri, TOKEN);
        expect_error(404, "NotFound");
        assert_null(strstr(answer_body(), "681a6b2e"));
    }
}

/* H92 */
static void without_the_database_it_is_503(void **state)
{
    SEND(GOOD_BODY, "REQUEST_METHOD=POST", USERS, TOKEN, JSONAPI);
    expect_error(503, "ServiceUnavailable");
    assert_string_equal(header("Retry-After"), "5");
    ASK("REQUEST_METHOD=GET", LEADERS, TOKEN);
    expect_error(503, "ServiceUnavailable");
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/readyz");
    expect_error(503, "ServiceUnavailable");
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/healthz");
    assert_int_equal(status, 200);
    assert_string_equal(answer_body(), "{\"status\":\"ok\"}");
}

/* H24 */
static void head_has_the_headers_of_get(void **state)
{
    ASK("REQUEST_METHOD=HEAD", "REQUEST_URI=/healthz");
    assert_int_equal(status, 200);
    assert_string_equal(header("Content-Length"), "15");
    assert_string_equal(answer_body(), "");
}

/* H6: values never come back, broken JSON neither. */
static void values_are_not_echoed(void **state)
{
    SEND("{\"data\":{\"type\":\"user\",\"attributes\":{\"nickname\":\"EVIL\\u0007\"}}}",
         "REQUEST_METHOD=POST", USERS, TOKEN, JSONAPI);
    expect_error(400, "invalid_attribute");
    assert_null(strstr(wire, "EVIL"));
    SEND("{\"data\":{\"type\":\"EVIL\"}}", "REQUEST_METHOD=POST", USERS, TOKEN, JSONAPI);
    expect_error(409, "Conflict");
    assert_null(strstr(wire, "EVIL"));
}

/* H10, and nothing a client sends may end a header line. */
static void the_request_id_comes_back(void **state)
{
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/healthz", "HTTP_X_REQUEST_ID=abcdefghij0123456789");
    assert_string_equal(header("X-Request-Id"), "abcdefghij0123456789");
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/healthz",
        "HTTP_X_REQUEST_ID=abcdefghij0123456789\r\nX-Evil: 1");
    assert_null(header("X-Evil"));
}

/* H8, H98: after the route, before the token; preflights and what watches us go free. */
static void too_many_requests_are_429(void **state)
{
    settings.rate_post = 2;
    api_fini(&api);
    assert_int_equal(api_init(&api, &settings), TK_OK);
    for (int i = 0; i < 2; i++) {
        ASK("REQUEST_METHOD=POST", USERS, "REMOTE_ADDR=192.0.2.1");
        expect_error(401, "Unauthorized");
    }
    ASK("REQUEST_METHOD=POST", USERS, "REMOTE_ADDR=192.0.2.1");
    expect_error(429, "TooManyRequests");
    assert_string_equal(header("Retry-After"), "30");
    ASK("REQUEST_METHOD=POST", USERS, "REMOTE_ADDR=192.0.2.2");
    expect_error(401, "Unauthorized");
    ASK("REQUEST_METHOD=GET", LEADERS, "REMOTE_ADDR=192.0.2.1");
    expect_error(401, "Unauthorized");
    ASK("REQUEST_METHOD=POST", "REQUEST_URI=/nothing", "REMOTE_ADDR=192.0.2.1");
    expect_error(404, "NotFound");
    ASK("REQUEST_METHOD=OPTIONS", USERS, "HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST",
        "REMOTE_ADDR=192.0.2.1");
    assert_int_equal(status, 204);
    ASK("REQUEST_METHOD=POST", "REQUEST_URI=/healthz", "REMOTE_ADDR=192.0.2.1");
    expect_error(405, "MethodNotAllowed");
}

static void a_bad_proxy_list_is_fatal(void **state)
{
    static char bad[] = "nobody", *list[] = {bad};
    struct api other;

    settings.trusted_proxies = (struct tk_string_list){list, 1};
    assert_int_equal(api_init(&other, &settings), TK_EINVAL);
    api_fini(&other);
}

/* H102 */
static void timing_is_shown_on_request(void **state)
{
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/healthz");
    assert_null(header("Server-Timing"));
    settings.server_timing = true;
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/healthz");
    assert_int_equal(strncmp(header("Server-Timing"), "app;dur=", 8), 0);
}

/* H106 */
static void health_is_also_below_api(void **state)
{
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/api/healthz");
    assert_int_equal(status, 200);
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/api/readyz");
    expect_error(503, "ServiceUnavailable");
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/api/metrics");
    assert_int_equal(status, 200);
    assert_string_equal(header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(wire, "tako_api_database_errors_total{kind=\"unavailable\"} 1"));
}

/* H11 */
static void vary_is_for_jsonapi_routes(void **state)
{
    ASK("REQUEST_METHOD=GET", ONE_USER, TOKEN);
    assert_string_equal(header("Vary"), "Accept");
    ASK("REQUEST_METHOD=GET", LEADERS, TOKEN);
    assert_null(header("Vary"));
}

/* H21 */
static void an_allow_list_echoes_the_origin(void **state)
{
    static char app[] = "https://app.example", *list[] = {app};

    settings.cors_origins = (struct tk_string_list){list, 1};
    ASK("REQUEST_METHOD=GET", ONE_USER, "HTTP_ORIGIN=https://app.example");
    assert_string_equal(header("Access-Control-Allow-Origin"), "https://app.example");
    assert_string_equal(header("Vary"), "Accept, Origin");
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/healthz", "HTTP_ORIGIN=https://evil.example");
    assert_int_equal(status, 200);
    assert_null(header("Access-Control-Allow-Origin"));
    assert_null(header("Access-Control-Expose-Headers"));
    assert_string_equal(header("Vary"), "Origin");
}

/* H98's cousin: odd bytes in the address reach no log and no document raw. */
static void hostile_addresses_do_no_harm(void **state)
{
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/api/json/accounts/users/x?%ff=1", TOKEN);
    expect_error(400, "InvalidQuery");
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/api/json/accounts/users/x?\"\xFF=1", TOKEN);
    expect_error(400, "InvalidQuery");
    assert_true(tk_utf8_valid(tk_slice_str(answer_body())));
    ASK("REQUEST_METHOD=GET", "REQUEST_URI=/\xFF\r\nX-Evil: 1", TOKEN);
    expect_error(404, "NotFound");
    assert_null(header("X-Evil"));
}

static void bad_settings_still_give_a_document(void **state)
{
    struct request request;
    struct response response = {0};
    struct tk_buf out = {0};

    request_init(&request, (char *[]){NULL}, (struct body_source){read_source, NULL});
    api_answer_unusable(&response);
    response_write(&response, &request, &settings.cors_origins, &out);
    snprintf(wire, sizeof(wire), "%s", tk_buf_str(&out));
    status = response.status;
    expect_error(500, "InternalServerError");
    tk_buf_fini(&out);
    response_fini(&response);
    request_fini(&request);
}

static void a_missing_word_list_is_fatal_but_in_development(void **state)
{
    static char missing[] = "/nonexistent/words";
    struct api other;

    settings.profanity_file = missing;
    assert_int_equal(api_init(&other, &settings), TK_EIO);
    api_fini(&other);
    settings.dev = true;
    assert_int_equal(api_init(&other, &settings), TK_OK);
    api_fini(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_preflight_is_answered_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_options_tells_the_methods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_paths_are_404, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_token_it_is_401, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_methods_are_405, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_list_is_for_the_administrator, set_up, tear_down),
        cmocka_unit_test_setup_teardown(negotiation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_bodies_are_413_unread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_read_before_the_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_order_of_checks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_malformed_id_is_an_unknown_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_database_it_is_503, set_up, tear_down),
        cmocka_unit_test_setup_teardown(head_has_the_headers_of_get, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_are_not_echoed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_request_id_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_requests_are_429, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_proxy_list_is_fatal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timing_is_shown_on_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(health_is_also_below_api, set_up, tear_down),
        cmocka_unit_test_setup_teardown(vary_is_for_jsonapi_routes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_allow_list_echoes_the_origin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_addresses_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_settings_still_give_a_document, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_word_list_is_fatal_but_in_development, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
