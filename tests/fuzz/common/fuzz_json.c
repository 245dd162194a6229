/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as JSON. The three scans must agree with each other, json-c must read all that they let
 * pass (H31), and a string that was decoded and written again must be the same string.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "common/tk_json.h"

#define MAX_DEPTH 32
#define MAX_ITEMS 4

static const struct tk_json_rules strict = {
    .max_depth = MAX_DEPTH, .refuse_duplicate_names = true, .refuse_huge_numbers = true};
static const struct tk_json_rules lenient = {.max_depth = MAX_DEPTH};

static bool is_within(struct tk_slice s, struct tk_slice outer)
{
    return s.ptr >= outer.ptr && s.ptr + s.len <= outer.ptr + outer.len;
}

static void check_string(const struct tk_json_value *string)
{
    struct tk_buf decoded = {0}, written = {0}, again = {0};
    struct tk_json_value value;

    tk_json_string_decode(string, &decoded);
    tk_assert(decoded.len + 2 <= string->raw.len);
    tk_assert(tk_utf8_valid(tk_buf_slice(&decoded)));
    tk_json_write_string(&written, tk_buf_slice(&decoded));
    tk_assert(tk_json_scan(tk_buf_slice(&written), &strict, &value, NULL) == TK_OK);
    tk_json_string_decode(&value, &again);
    tk_assert(tk_slice_eq(tk_buf_slice(&decoded), tk_buf_slice(&again)));
    tk_buf_fini(&decoded);
    tk_buf_fini(&written);
    tk_buf_fini(&again);
}

static void check_value(const struct tk_json_value *value, struct tk_slice text)
{
    struct tk_json_value again;

    tk_assert(value->type != TK_JSON_NONE && is_within(value->raw, text));
    tk_assert(tk_json_scan(value->raw, &lenient, &again, NULL) == TK_OK);
    tk_assert(again.type == value->type && tk_slice_eq(again.raw, value->raw));
    if (value->type == TK_JSON_STRING)
        check_string(value);
}

/* json-c is far more lenient, so what it refuses cannot have been JSON. */
static void check_json_c_agrees(struct tk_slice text)
{
    struct json_tokener *parser = json_tokener_new_ex(2 * MAX_DEPTH);
    json_object *root = json_tokener_parse_ex(parser, text.ptr, (int)text.len);
    enum json_tokener_error result = json_tokener_get_error(parser);

    /* It waits for more digits of a number, and gives null for null. */
    tk_assert(result == json_tokener_success || result == json_tokener_continue);
    json_object_put(root);
    json_tokener_free(parser);
}

static void check_array(struct tk_slice text, bool is_array)
{
    struct tk_json_value items[MAX_ITEMS];
    size_t count;
    enum tk_err err = tk_json_scan_array(text, &lenient, items, MAX_ITEMS, &count);

    tk_assert((err == TK_OK) == is_array);
    for (size_t i = 0; is_array && i < count && i < MAX_ITEMS; i++)
        check_value(&items[i], text);
}

static void check_object(struct tk_slice text, bool is_object)
{
    struct tk_json_field fields[] = {{.name = "data"}, {.name = "type"}, {.name = ""}};
    enum tk_err err = tk_json_scan_object(text, &lenient, fields, TK_ARRAY_LEN(fields));

    tk_assert((err == TK_OK) == is_object);
    for (size_t i = 0; is_object && i < TK_ARRAY_LEN(fields); i++) {
        if (fields[i].value.type != TK_JSON_NONE)
            check_value(&fields[i].value, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tk_slice text = tk_slice((const char *)data, size);
    struct tk_json_value value;
    size_t offset = 0;
    enum tk_err err = tk_json_scan(text, &lenient, &value, &offset);

    tk_assert(err != TK_OK || tk_utf8_valid(text));
    tk_assert(err == TK_OK || (offset <= size && (err == TK_ESYNTAX || err == TK_ELIMIT)));
    check_array(text, err == TK_OK && value.type == TK_JSON_ARRAY);
    check_object(text, err == TK_OK && value.type == TK_JSON_OBJECT);
    if (err == TK_OK) {
        check_value(&value, text);
        check_json_c_agrees(value.raw);
    }
    if (tk_json_scan(text, &strict, &value, NULL) == TK_OK)
        tk_assert(err == TK_OK);
    return 0;
}
