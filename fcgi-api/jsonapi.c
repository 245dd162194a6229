/* SPDX-License-Identifier: MIT */
#include "fcgi-api/jsonapi.h"

#include <stdio.h>

#include "common/tk_json.h"
#include "common/tk_uuid.h"

#define VERSION    "1.0" /* D4 */
#define MAX_ERRORS 32

static const struct {
    int status;
    const char *code;
    const char *title;
} kinds[] = {
    [JSONAPI_UNAUTHORIZED] = {401, "Unauthorized", "Unauthorized"},
    [JSONAPI_FORBIDDEN] = {403, "Forbidden", "Forbidden"},
    [JSONAPI_NOT_FOUND] = {404, "NotFound", "Entity Not Found"},
    [JSONAPI_METHOD_NOT_ALLOWED] = {405, "MethodNotAllowed", "Method Not Allowed"},
    [JSONAPI_NOT_ACCEPTABLE] = {406, "UnacceptableMediaType", "Unacceptable Media Type"},
    [JSONAPI_CONFLICT] = {409, "Conflict", "Conflict"},
    [JSONAPI_PRECONDITION_FAILED] = {412, "PreconditionFailed", "Precondition Failed"},
    [JSONAPI_TOO_LARGE] = {413, "PayloadTooLarge", "Payload Too Large"},
    [JSONAPI_UNSUPPORTED_MEDIA_TYPE] = {415, "UnsupportedMediaType", "Unsupported Media Type"},
    [JSONAPI_INVALID_JSON] = {400, "InvalidJSON", "Invalid JSON"},
    [JSONAPI_INVALID_BODY] = {400, "InvalidBody", "Invalid Body"},
    [JSONAPI_INVALID_ATTRIBUTE] = {400, "invalid_attribute", "invalid_attribute"},
    [JSONAPI_INVALID_FIELD] = {400, "InvalidField", "Invalid Field"},
    [JSONAPI_INVALID_TYPE] = {400, "InvalidType", "Invalid Type"},
    [JSONAPI_INVALID_SORT] = {400, "InvalidSort", "Invalid Sort"},
    [JSONAPI_INVALID_FILTER] = {400, "InvalidFilter", "Invalid Filter"},
    [JSONAPI_INVALID_PAGINATION] = {400, "InvalidPagination", "Invalid Pagination"},
    [JSONAPI_INVALID_INCLUDES] = {400, "InvalidIncludes", "Invalid Includes"},
    [JSONAPI_INVALID_QUERY] = {400, "InvalidQuery", "Invalid Query"},
    [JSONAPI_INVALID_HEADER] = {400, "InvalidHeader", "Invalid Header"},
    [JSONAPI_KEY_REUSED] = {422, "IdempotencyKeyReused", "Idempotency Key Reused"},
    [JSONAPI_TOO_MANY_REQUESTS] = {429, "TooManyRequests", "Too Many Requests"},
    [JSONAPI_INTERNAL] = {500, "InternalServerError", "Internal Server Error"},
    [JSONAPI_UNAVAILABLE] = {503, "ServiceUnavailable", "Service Unavailable"},
};

static const char *const source_names[] = {
    [JSONAPI_SOURCE_POINTER] = "pointer",
    [JSONAPI_SOURCE_PARAMETER] = "parameter",
    [JSONAPI_SOURCE_HEADER] = "header",
};

static void add_string(json_object *object, const char *name, struct tk_slice text)
{
    json_object *value = json_object_new_string_len(text.len > 0 ? text.ptr : "", (int)text.len);

    tk_assert(value != NULL);
    json_object_object_add(object, name, value);
}

static json_object *member(const char *name, struct tk_slice text)
{
    json_object *object = json_object_new_object();

    tk_assert(object != NULL);
    add_string(object, name, text);
    return object;
}

void jsonapi_errors_fini(struct jsonapi_errors *errors)
{
    json_object_put(errors->list);
    *errors = (struct jsonapi_errors){0};
}

void jsonapi_errors_add(struct jsonapi_errors *errors, enum jsonapi_error kind, const char *detail,
                        enum jsonapi_source where, struct tk_slice source)
{
    char id[TK_UUID_LEN + 1], status[8];
    struct tk_uuid uuid;

    if (errors->list == NULL) {
        errors->list = json_object_new_array();
        errors->status = kinds[kind].status;
    }
    if (kinds[kind].status != errors->status ||
        json_object_array_length(errors->list) >= MAX_ERRORS)
        return;
    tk_uuid_random(&uuid);
    snprintf(status, sizeof(status), "%d", kinds[kind].status);

    json_object *error = member("code", tk_slice_str(kinds[kind].code));
    add_string(error, "detail", tk_slice_str(detail));
    add_string(error, "id", tk_slice_str(tk_uuid_format(&uuid, id)));
    if (where != JSONAPI_SOURCE_NONE)
        json_object_object_add(error, "source", member(source_names[where], source));
    add_string(error, "status", tk_slice_str(status));
    add_string(error, "title", tk_slice_str(kinds[kind].title));
    json_object_array_add(errors->list, error);
}

void jsonapi_write_error_codes(struct tk_buf *out)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(kinds); i++)
        tk_buf_appendf(out, "%s\"%s\"", i > 0 ? ", " : "", kinds[i].code);
}

/* Compact, '/' not escaped (H55); takes the document. */
static void write_document(json_object *document, struct tk_buf *out)
{
    size_t len;
    const char *text = json_object_to_json_string_length(
        document, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

    tk_assert(text != NULL);
    tk_buf_append(out, text, len);
    json_object_put(document);
}

void jsonapi_errors_write(const struct jsonapi_errors *errors, struct tk_buf *out)
{
    json_object *document = json_object_new_object();

    json_object_object_add(document, "errors", json_object_get(errors->list));
    json_object_object_add(document, "jsonapi", member("version", TK_SLICE(VERSION)));
    write_document(document, out);
}

void jsonapi_document_write(struct tk_slice data, struct tk_slice links, struct tk_buf *out)
{
    tk_buf_append_str(out, "{\"data\":");
    tk_buf_append_slice(out, data);
    tk_buf_append_str(out, ",\"jsonapi\":{\"version\":\"" VERSION "\"},\"links\":");
    tk_buf_append_slice(out, links);
    tk_buf_append_char(out, '}');
}

void jsonapi_link_write(const char *name, struct tk_slice url, struct tk_buf *out)
{
    tk_json_write_string(out, tk_slice_str(name));
    tk_buf_append_char(out, ':');
    tk_json_write_string(out, url);
}
