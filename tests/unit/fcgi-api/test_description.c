/* SPDX-License-Identifier: MIT */
/* The OpenAPI document against the route table (H105): neither may have what the other has not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "common/tk_json.h"
#include "fcgi-api/description.h"
#include "fcgi-api/router.h"

static char public_url[] = "https://api.example/\"quoted\"";
static struct api_settings settings = {
    .nickname_max = 24, .stamps_max = 10, .leaderboard_max = 77, .public_url = public_url};
static struct description description;
static json_object *open_api;

static int set_up(void **state)
{
    description_init(&description, &settings);
    open_api = json_tokener_parse(tk_buf_str(&description.open_api));
    return open_api != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    json_object_put(open_api);
    description_fini(&description);
    return 0;
}

static json_object *at(json_object *object, const char *name)
{
    json_object *member = NULL;

    json_object_object_get_ex(object, name, &member);
    return member;
}

static bool is_described(const struct route *route)
{
    return strncmp(route->pattern, "/api/json/", strlen("/api/json/")) == 0;
}

static const struct {
    enum http_method method;
    const char *name; /* HEAD is understood wherever GET is (info.description) */
} methods[] = {{HTTP_GET, "get"}, {HTTP_POST, "post"}, {HTTP_PATCH, "patch"}};

static void every_route_is_described(void **state)
{
    for (size_t i = 0; i < router_table_count; i++) {
        const struct route *route = &router_table[i];
        json_object *path = at(at(open_api, "paths"), route->pattern);
        if (!is_described(route))
            continue;
        for (size_t m = 0; m < TK_ARRAY_LEN(methods); m++) {
            bool has_method = (route->methods & methods[m].method) != 0;
            if (has_method && at(path, methods[m].name) == NULL)
                fail_msg("%s %s is not described", methods[m].name, route->pattern);
        }
        assert_int_equal((route->methods & HTTP_GET) != 0, (route->methods & HTTP_HEAD) != 0);
    }
}

/* The row that serves what the document describes, or NULL. */
static const struct route *find_route(const char *pattern, const char *method)
{
    for (size_t i = 0; i < router_table_count; i++) {
        if (strcmp(router_table[i].pattern, pattern) != 0)
            continue;
        for (size_t m = 0; m < TK_ARRAY_LEN(methods); m++) {
            if (strcmp(methods[m].name, method) == 0 &&
                (router_table[i].methods & methods[m].method) != 0)
                return &router_table[i];
        }
    }
    return NULL;
}

/* "client", "administrator", or "" when no token is needed. */
static const char *security_of(json_object *operation)
{
    json_object *security = at(operation, "security");

    if (security == NULL)
        security = at(open_api, "security");
    if (json_object_array_length(security) == 0)
        return "";
    return at(json_object_array_get_idx(security, 0), "client") != NULL ? "client"
                                                                        : "administrator";
}

static void every_description_has_its_route_and_its_token(void **state)
{
    static const char *const wanted[] = {
        [ACCESS_ANYONE] = "", [ACCESS_CLIENT] = "client", [ACCESS_ADMIN] = "administrator"};
    size_t count = 0;

    json_object_object_foreach(at(open_api, "paths"), pattern, path)
    {
        json_object_object_foreach(path, method, operation)
        {
            if (strcmp(method, "parameters") == 0)
                continue;
            const struct route *route = find_route(pattern, method);
            if (route == NULL)
                fail_msg("%s %s has no route", method, pattern);
            assert_string_equal(security_of(operation), wanted[route->access]);
            count++;
        }
    }
    assert_int_equal(count, 9);
}

static void what_is_in_force_is_filled_in(void **state)
{
    const char *text = tk_buf_str(&description.open_api);
    json_object *server = json_object_array_get_idx(at(open_api, "servers"), 0);

    assert_string_equal(json_object_get_string(at(server, "url")), public_url);
    assert_non_null(strstr(text, "\"maxItems\": 77"));
    assert_non_null(strstr(text, "\"maximum\": 10 "));
    assert_non_null(strstr(text, "At most 24 characters"));
    assert_non_null(strstr(text, "\"ServiceUnavailable\""));
    assert_non_null(strstr(text, "\"version\": \"" TAKO_VERSION "\""));
}

/* Both are JSON, no blank is left over, and references stay within the document. */
static void the_documents_are_whole(void **state)
{
    static const struct tk_json_rules rules = {.max_depth = 64, .refuse_duplicate_names = true};
    struct tk_buf *documents[] = {&description.open_api, &description.json_schema};
    struct tk_json_value value;

    for (size_t i = 0; i < TK_ARRAY_LEN(documents); i++) {
        const char *text = tk_buf_str(documents[i]);
        assert_int_equal(tk_json_scan(tk_buf_slice(documents[i]), &rules, &value, NULL), TK_OK);
        assert_null(strchr(text, '@'));
    }
    assert_null(strstr(tk_buf_str(&description.open_api), "#/$defs"));
    assert_null(strstr(tk_buf_str(&description.json_schema), "#/components"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(every_description_has_its_route_and_its_token),
        cmocka_unit_test(what_is_in_force_is_filled_in),
        cmocka_unit_test(the_documents_are_whole),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
