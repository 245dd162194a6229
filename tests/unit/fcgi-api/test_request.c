/* SPDX-License-Identifier: MIT */
/* From CGI variables to a request (H9, H10, H12, H29). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/request.h"

#define VARIABLES(...) ((char *[]){__VA_ARGS__, NULL})

static char get[] = "REQUEST_METHOD=GET";

/* A body in memory that comes in pieces of at most `step` bytes. */
struct memory_body {
    const char *text;
    size_t len, step;
    bool breaks; /* at the end, instead of ending */
};

static ssize_t read_memory(void *arg, char *into, size_t size)
{
    struct memory_body *body = arg;
    size_t len = body->len < size ? body->len : size;

    if (body->len == 0)
        return body->breaks ? -1 : 0;
    if (len > body->step)
        len = body->step;
    memcpy(into, body->text, len);
    body->text += len;
    body->len -= len;
    return (ssize_t)len;
}

static struct request request_of(char *const *variables)
{
    struct request request;

    request_init(&request, variables, (struct body_source){read_memory, NULL});
    return request;
}

static void methods_are_case_sensitive(void **state)
{
    static const struct {
        char variable[32];
        enum http_method method;
    } rows[] = {
        {"REQUEST_METHOD=GET", HTTP_GET},      {"REQUEST_METHOD=HEAD", HTTP_HEAD},
        {"REQUEST_METHOD=POST", HTTP_POST},    {"REQUEST_METHOD=PATCH", HTTP_PATCH},
        {"REQUEST_METHOD=get", HTTP_OTHER},    {"REQUEST_METHOD=OPTIONS", HTTP_OPTIONS},
        {"REQUEST_METHOD=DELETE", HTTP_OTHER}, {"REQUEST_METHOD=", HTTP_OTHER},
        {"REQUEST_METHODS=GET", HTTP_OTHER},
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(rows); i++) {
        struct request request = request_of(VARIABLES((char *)rows[i].variable));
        assert_int_equal(request.method, rows[i].method);
        request_fini(&request);
    }
}

static void expect_target(const char *uri, const char *path, const char *query)
{
    char variable[128] = "REQUEST_URI=";

    strcat(variable, uri);
    struct request request = request_of(VARIABLES(get, variable));
    assert_true(tk_slice_eq_str(request.path, path));
    assert_true(tk_slice_eq_str(request.query, query));
    request_fini(&request);
}

static void the_target_is_split(void **state)
{
    expect_target("/a/b?c=d?e", "/a/b", "c=d?e");
    expect_target("/a", "/a", "");
    expect_target("/a?", "/a", "");
    expect_target("http://host:80/a?b", "/a", "b");
    expect_target("http://host", "/", "");
    expect_target("*", "*", "");
    expect_target("", "", "");
    expect_target("/a://b", "/a://b", "");
}

static void a_missing_target_is_empty(void **state)
{
    struct request request = request_of(VARIABLES(get));

    assert_int_equal(request.path.len, 0);
    request_fini(&request);
}

/* H12 */
static void empty_headers_count_as_absent(void **state)
{
    char empty[] = "HTTP_ACCEPT=", type[] = "CONTENT_TYPE=text/plain";
    struct request request = request_of(VARIABLES(get, empty, type));

    assert_null(request.headers[HEADER_ACCEPT]);
    assert_string_equal(request.headers[HEADER_CONTENT_TYPE], "text/plain");
    assert_null(request.headers[HEADER_ORIGIN]);
    request_fini(&request);
}

/* H12, H16: some servers pass a repeated header as the same variable twice. */
static void repeated_headers_are_joined(void **state)
{
    char one[] = "HTTP_AUTHORIZATION=Bearer x", two[] = "HTTP_AUTHORIZATION=Bearer y",
         three[] = "HTTP_AUTHORIZATION=z";
    struct request request = request_of(VARIABLES(one, two, three));

    assert_string_equal(request.headers[HEADER_AUTHORIZATION], "Bearer x, Bearer y, z");
    request_fini(&request);
}

static bool is_echoed(const char *id)
{
    char variable[512] = "HTTP_X_REQUEST_ID=";

    strcat(variable, id);
    struct request request = request_of(VARIABLES(get, variable));
    bool same = strcmp(request.id, id) == 0;
    assert_true(same || strlen(request.id) == 36);
    request_fini(&request);
    return same;
}

/* H10 */
static void request_ids(void **state)
{
    char longest[202];

    memset(longest, 'a', sizeof(longest) - 1);
    longest[200] = '\0';
    assert_true(is_echoed(longest));
    memset(longest, 'a', sizeof(longest) - 1);
    longest[201] = '\0';
    assert_false(is_echoed(longest));
    assert_true(is_echoed("12345678901234567890"));
    assert_true(is_echoed("abcABC019._=+/-xxxxx"));
    assert_false(is_echoed("1234567890123456789"));
    assert_false(is_echoed("1234567890 1234567890"));
    assert_false(is_echoed("12345678901234567890\r\nX: y"));
    assert_false(is_echoed(""));
}

static void fresh_ids_differ(void **state)
{
    struct request a = request_of(VARIABLES(get)), b = request_of(VARIABLES(get));

    assert_string_not_equal(a.id, b.id);
    request_fini(&a);
    request_fini(&b);
}

/* Reads text as the body of a request with that CONTENT_LENGTH (NULL: none). */
static enum tk_err read_body(const char *length, struct memory_body *source, size_t limit,
                             size_t *len)
{
    char variable[64] = "CONTENT_LENGTH=";
    struct tk_buf body = {0};
    struct request request;

    if (length != NULL)
        strcat(variable, length);
    request_init(&request, VARIABLES(get, length != NULL ? variable : get),
                 (struct body_source){read_memory, source});
    enum tk_err err = request_read_body(&request, limit, &body);
    *len = body.len;
    tk_buf_fini(&body);
    request_fini(&request);
    return err;
}

static enum tk_err read_text(const char *length, const char *text, size_t limit, size_t *len)
{
    struct memory_body source = {text, strlen(text), 3, false};

    return read_body(length, &source, limit, len);
}

static void the_body_has_its_announced_length(void **state)
{
    size_t len;

    assert_int_equal(read_text("10", "0123456789", 10, &len), TK_OK);
    assert_int_equal(len, 10);
    assert_int_equal(read_text("4", "0123456789", 10, &len), TK_OK);
    assert_int_equal(len, 4);
    assert_int_equal(read_text("0", "", 10, &len), TK_OK);
    assert_int_equal(read_text("11", "0123456789", 20, &len), TK_EIO);
}

/* H12: chunked bodies come without a length. */
static void without_a_length_it_is_read_to_the_end(void **state)
{
    size_t len;

    assert_int_equal(read_text(NULL, "0123456789", 10, &len), TK_OK);
    assert_int_equal(len, 10);
    assert_int_equal(read_text("", "01234", 10, &len), TK_OK);
    assert_int_equal(len, 5);
    assert_int_equal(read_text(NULL, "0123456789x", 10, &len), TK_ELIMIT);
}

/* H29 */
static void a_large_body_is_not_read(void **state)
{
    struct memory_body source = {"0123456789x", 11, 11, false};
    size_t len;

    assert_int_equal(read_body("11", &source, 10, &len), TK_ELIMIT);
    assert_int_equal(source.len, 11);
    assert_int_equal(read_text("99999999999999999999999999999999", "x", 10, &len), TK_ELIMIT);
}

static void a_length_is_digits(void **state)
{
    size_t len;

    assert_int_equal(read_text("-1", "x", 10, &len), TK_ESYNTAX);
    assert_int_equal(read_text("1x", "x", 10, &len), TK_ESYNTAX);
    assert_int_equal(read_text(" 1", "x", 10, &len), TK_ESYNTAX);
    assert_int_equal(read_text("1, 1", "x", 10, &len), TK_ESYNTAX);
}

static void a_broken_connection_is_no_body(void **state)
{
    struct memory_body source = {"01234", 5, 5, true};
    size_t len;

    assert_int_equal(read_body(NULL, &source, 10, &len), TK_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_case_sensitive),
        cmocka_unit_test(the_target_is_split),
        cmocka_unit_test(a_missing_target_is_empty),
        cmocka_unit_test(empty_headers_count_as_absent),
        cmocka_unit_test(repeated_headers_are_joined),
        cmocka_unit_test(request_ids),
        cmocka_unit_test(fresh_ids_differ),
        cmocka_unit_test(the_body_has_its_announced_length),
        cmocka_unit_test(without_a_length_it_is_read_to_the_end),
        cmocka_unit_test(a_large_body_is_not_read),
        cmocka_unit_test(a_length_is_digits),
        cmocka_unit_test(a_broken_connection_is_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
