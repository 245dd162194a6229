/* SPDX-License-Identifier: MIT */
/* The shape of a request document, row by row (H30-H43, H73). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/jsonapi_request.h"

#define ID       "681a6b2e-9f00-4abc-800d-0123456789ab"
#define OTHER_ID "00000000-0000-4000-8000-000000000000"

static const char *const attribute_names[] = {"nickname", "stamps_collected", NULL};
static const struct jsonapi_shape create_shape = {
    .type = "user", .attributes = attribute_names, .refuses_id = true};

/* Reads body and renders what is wrong with it: "400 InvalidBody /data; ..." or "ok". */
static const char *verdict(struct tk_slice body, const struct jsonapi_shape *shape)
{
    static char text[2048];
    struct jsonapi_errors errors = {0};
    struct jsonapi_request request;

    bool ok = jsonapi_request_read(body, shape, &request, &errors);
    assert_int_equal(ok, errors.status == 0);
    snprintf(text, sizeof(text), "%s", ok ? "ok" : "");
    for (size_t i = 0; !ok && i < json_object_array_length(errors.list); i++) {
        json_object *error = json_object_array_get_idx(errors.list, i), *source = NULL,
                    *pointer = NULL;
        if (json_object_object_get_ex(error, "source", &source))
            assert_true(json_object_object_get_ex(source, "pointer", &pointer));
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %s %s", i > 0 ? "; " : "",
                 json_object_get_string(json_object_object_get(error, "status")),
                 json_object_get_string(json_object_object_get(error, "code")),
                 pointer != NULL ? json_object_get_string(pointer) : "-");
    }
    jsonapi_request_fini(&request);
    jsonapi_errors_fini(&errors);
    return text;
}

static const char *created(const char *body)
{
    return verdict(tk_slice_str(body), &create_shape);
}

static const char *updated(const char *body)
{
    struct tk_uuid id;
    struct jsonapi_shape shape = {.type = "user", .attributes = attribute_names, .id = &id};

    assert_int_equal(tk_uuid_parse(tk_slice_str(ID), &id), TK_OK);
    return verdict(tk_slice_str(body), &shape);
}

/* H30, and what json-c alone would let pass (H31). */
static void what_is_not_json(void **state)
{
    static const char *const bodies[] = {
        "{\"data\":",
        "{\"data\":{}} x",
        "{\"data\":{}}{}",
        "   ",
        "\xEF\xBB\xBF{\"data\":{}}",
        "{\"data\":{\"type\":\"a\nb\"}}",
        "{\"data\":{\"type\":\"\\x41\"}}",
        "{\"data\":{\"type\":\"\\ud800\"}}",
        "{\"data\":{\"type\":\"\\udc00\\ud800\"}}",
        "{\"data\":{\"type\":\"\xFF\"}}",
        "{\"data\":{\"type\":\"\xC0\xAF\"}}",
        "{\"data\":{\"type\":\"\xED\xA0\x80\"}}",
        "{\"data\":{\"type\":\"\xF4\x90\x80\x80\"}}",
        "{'data':{}}",
        "{\"data\":NaN}",
        "{\"data\":Infinity}",
        "{\"data\":-Infinity}",
        "{\"data\":tru}",
        "{\"data\":01}",
        "{\"data\":1.}",
        "{\"data\":{},}",
        "{\"data\":[1,]}",
        "{/**/\"data\":{}}",
        /* H6: a nickname with a quote in it, pasted into a string by the real client */
        "{\"data\":{\"type\":\"user\",\"attributes\":{\"nickname\":\"a\"b\"}}}",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(bodies); i++) {
        if (strcmp(created(bodies[i]), "400 InvalidJSON -") != 0)
            fail_msg("%s: %s", bodies[i], created(bodies[i]));
    }
}

/* H32 */
static void depth_is_limited(void **state)
{
    char body[256] = "{\"data\":{\"type\":\"user\",\"meta\":";
    size_t start = strlen(body);

    memset(body + start, '[', 30);
    memset(body + start + 30, ']', 30);
    memcpy(body + start + 60, "}}", 3);
    assert_string_equal(created(body), "ok");
    memset(body + start, '[', 31);
    memset(body + start + 31, ']', 31);
    memcpy(body + start + 62, "}}", 3);
    assert_string_equal(created(body), "400 InvalidJSON -");
}

static void duplicate_names_are_refused(void **state)
{
    assert_string_equal(created("{\"data\":{\"type\":\"user\"},\"data\":{\"type\":\"user\"}}"),
                        "400 InvalidJSON -");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"\\u0074ype\":\"user\"}}"),
                        "400 InvalidJSON -");
}

/* json-c cuts a name at U+0000, so that "id\u0000" would have counted as id. */
static void nul_in_a_name_is_refused(void **state)
{
    assert_string_equal(created("{\"data\\u0000x\":{\"type\":\"user\"}}"), "400 InvalidBody -");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"id\\u0000\" :1}}"),
                        "400 InvalidBody -");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"meta\":\"\\u0000\"}}"), "ok");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"\\\\u0000\":\"\"}}"), "ok");
}

/* H33 */
static void the_document_is_an_object_with_data(void **state)
{
    static const char *const bodies[] = {"{}", "[]", "null", "\"x\"", "1", " { } ", "true"};

    assert_string_equal(created(""), "400 InvalidBody -");
    for (size_t i = 0; i < TK_ARRAY_LEN(bodies); i++)
        assert_string_equal(created(bodies[i]), "400 InvalidBody ");
}

/* H34 */
static void data_is_an_object(void **state)
{
    assert_string_equal(created("{\"data\":null}"), "400 InvalidBody /data");
    assert_string_equal(created("{\"data\":[]}"), "400 InvalidBody /data");
    assert_string_equal(created("{\"data\":\"x\"}"), "400 InvalidBody /data");
}

/* H35, H36, H73 */
static void the_type_is_the_one_of_the_collection(void **state)
{
    assert_string_equal(created("{\"data\":{\"type\":\"users\"}}"), "409 Conflict /data/type");
    assert_string_equal(updated("{\"data\":{\"type\":\"User\"}}"), "409 Conflict /data/type");
    assert_string_equal(created("{\"data\":{\"type\":\"user\\u0000\"}}"),
                        "409 Conflict /data/type");
    assert_string_equal(created("{\"data\":{\"type\":5}}"), "400 InvalidBody /data/type");
    assert_string_equal(created("{\"data\":{\"type\":null}}"), "400 InvalidBody /data/type");
    assert_string_equal(created("{\"data\":{}}"), "400 InvalidBody /data");
    assert_string_equal(updated("{\"data\":{\"attributes\":{}}}"), "400 InvalidBody /data");
}

/* H37 */
static void attributes_are_an_object_or_absent(void **state)
{
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"attributes\":null}}"),
                        "400 InvalidBody /data/attributes");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"attributes\":[]}}"),
                        "400 InvalidBody /data/attributes");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"attributes\":\"x\"}}"),
                        "400 InvalidBody /data/attributes");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"attributes\":{}}}"), "ok");
    assert_string_equal(created("{\"data\":{\"type\":\"user\"}}"), "ok");
}

/* H38, H43 */
static void unknown_attributes_are_named(void **state)
{
    assert_string_equal(
        created("{\"data\":{\"type\":\"user\",\"attributes\":{\"foo\":1,\"nickname\":\"x\","
                "\"id\":1,\"inserted_at\":1,\"updated_at\":1}}}"),
        "400 InvalidBody /data/attributes/foo; 400 InvalidBody /data/attributes/id; "
        "400 InvalidBody /data/attributes/inserted_at; "
        "400 InvalidBody /data/attributes/updated_at");
    assert_string_equal(
        created("{\"data\":{\"type\":\"user\",\"attributes\":{\"a/b~c\":1,\"\":2}}}"),
        "400 InvalidBody /data/attributes/a~1b~0c; 400 InvalidBody /data/attributes/");
}

static void very_long_names_are_not_repeated(void **state)
{
    char body[512], name[129 + 1];

    memset(name, 'a', 129);
    name[129] = '\0';
    snprintf(body, sizeof(body), "{\"data\":{\"type\":\"user\",\"attributes\":{\"%s\":1}}}", name);
    assert_string_equal(created(body), "400 InvalidBody /data/attributes");
}

static void a_flood_of_errors_is_cut(void **state)
{
    struct tk_buf body = {0};
    struct jsonapi_errors errors = {0};
    struct jsonapi_request request;

    tk_buf_append_str(&body, "{\"data\":{\"type\":\"user\",\"attributes\":{");
    for (int i = 0; i < 1000; i++)
        tk_buf_appendf(&body, "%s\"a%d\":1", i > 0 ? "," : "", i);
    tk_buf_append_str(&body, "}}}");
    assert_false(jsonapi_request_read(tk_buf_slice(&body), &create_shape, &request, &errors));
    assert_in_range(json_object_array_length(errors.list), 1, 100);
    jsonapi_request_fini(&request);
    jsonapi_errors_fini(&errors);
    tk_buf_fini(&body);
}

/* H39 */
static void clients_do_not_choose_ids(void **state)
{
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"id\":\"" ID "\"}}"),
                        "403 Forbidden /data/id");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"id\":null}}"),
                        "403 Forbidden /data/id");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"id\":7}}"),
                        "403 Forbidden /data/id");
}

/* H3, H73 */
static void an_id_must_be_the_one_of_the_path(void **state)
{
    assert_string_equal(updated("{\"data\":{\"type\":\"user\"}}"), "ok");
    assert_string_equal(updated("{\"data\":{\"type\":\"user\",\"id\":\"" ID "\"}}"), "ok");
    assert_string_equal(
        updated("{\"data\":{\"type\":\"user\",\"id\":\"681A6B2E-9F00-4ABC-800D-0123456789AB\"}}"),
        "ok");
    assert_string_equal(updated("{\"data\":{\"type\":\"user\",\"id\":\"" OTHER_ID "\"}}"),
                        "409 Conflict /data/id");
    assert_string_equal(updated("{\"data\":{\"type\":\"user\",\"id\":\"x\"}}"),
                        "409 Conflict /data/id");
    assert_string_equal(updated("{\"data\":{\"type\":\"user\",\"id\":\"\"}}"),
                        "409 Conflict /data/id");
    assert_string_equal(updated("{\"data\":{\"type\":\"user\",\"id\":5}}"),
                        "400 InvalidBody /data/id");
    assert_string_equal(updated("{\"data\":{\"type\":\"user\",\"id\":null}}"),
                        "400 InvalidBody /data/id");
}

/* H40, and a number that no double can hold where nobody looks. */
static void unknown_members_are_ignored(void **state)
{
    assert_string_equal(
        created("{\"data\":{\"type\":\"user\",\"meta\":1,\"links\":null,\"lid\":\"a\",\"x\":[]},"
                "\"meta\":{\"n\":1e999},\"jsonapi\":{},\"links\":{},\"included\":[],\"y\":1}"),
        "ok");
}

/* H41, H42 */
static void there_are_no_relationships(void **state)
{
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"relationships\":{}}}"), "ok");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"relationships\":[]}}"),
                        "400 InvalidBody /data/relationships");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"relationships\":null}}"),
                        "400 InvalidBody /data/relationships");
    assert_string_equal(created("{\"data\":{\"type\":\"user\",\"relationships\":{\"x\":{}}}}"),
                        "400 InvalidBody /data/relationships/x");
}

/* H8: all errors of one answer share one status. */
static void errors_of_another_status_wait(void **state)
{
    assert_string_equal(
        created("{\"data\":{\"type\":\"users\",\"id\":1,\"attributes\":{\"foo\":1}}}"),
        "409 Conflict /data/type");
    assert_string_equal(created("{\"data\":{\"type\":1,\"id\":1,\"attributes\":{\"foo\":1}}}"),
                        "400 InvalidBody /data/type; 400 InvalidBody /data/attributes/foo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_json),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(duplicate_names_are_refused),
        cmocka_unit_test(nul_in_a_name_is_refused),
        cmocka_unit_test(the_document_is_an_object_with_data),
        cmocka_unit_test(data_is_an_object),
        cmocka_unit_test(the_type_is_the_one_of_the_collection),
        cmocka_unit_test(attributes_are_an_object_or_absent),
        cmocka_unit_test(unknown_attributes_are_named),
        cmocka_unit_test(very_long_names_are_not_repeated),
        cmocka_unit_test(a_flood_of_errors_is_cut),
        cmocka_unit_test(clients_do_not_choose_ids),
        cmocka_unit_test(an_id_must_be_the_one_of_the_path),
        cmocka_unit_test(unknown_members_are_ignored),
        cmocka_unit_test(there_are_no_relationships),
        cmocka_unit_test(errors_of_another_status_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
