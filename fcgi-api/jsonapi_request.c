/* SPDX-License-Identifier: MIT */
/*
 * The bytes pass our own strict scanner before json-c sees them: what json-c would read leniently,
 * clamp or cut (H31) has been refused by then.
 */
#include "fcgi-api/jsonapi_request.h"

#include "common/tk_json.h"

#define MAX_DEPTH        32  /* H32 */
#define MAX_POINTER_NAME 128 /* longer names are not repeated to the client */

static void refuse(struct jsonapi_errors *errors, enum jsonapi_error kind, const char *detail,
                   const char *pointer)
{
    jsonapi_errors_add(errors, kind, detail, JSONAPI_SOURCE_POINTER, tk_slice_str(pointer));
}

static void refuse_body(struct jsonapi_errors *errors, enum jsonapi_error kind, const char *detail)
{
    jsonapi_errors_add(errors, kind, detail, JSONAPI_SOURCE_NONE, (struct tk_slice){0});
}

/* parent + "/" + name, escaped as RFC 6901 wants it. */
static void refuse_member(struct jsonapi_errors *errors, const char *detail, const char *parent,
                          const char *name)
{
    struct tk_buf pointer = {0};

    tk_buf_append_str(&pointer, parent);
    if (strlen(name) <= MAX_POINTER_NAME) {
        tk_buf_append_char(&pointer, '/');
        for (; *name != '\0'; name++) {
            if (*name == '~' || *name == '/')
                tk_buf_append_str(&pointer, *name == '~' ? "~0" : "~1");
            else
                tk_buf_append_char(&pointer, *name);
        }
    }
    refuse(errors, JSONAPI_INVALID_BODY, detail, tk_buf_str(&pointer));
    tk_buf_fini(&pointer);
}

/*
 * Does a member name hold U+0000? json-c would cut it there and so take it for another name. The
 * text has been scanned: strings end, and a string before a colon is a name.
 */
static bool has_nul_in_name(struct tk_slice text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;

    while ((at = memchr(at, '"', (size_t)(end - at))) != NULL) {
        bool has_nul = false;
        for (at++; *at != '"'; at++) {
            if (*at == '\\' && *++at == 'u')
                has_nul = has_nul || memcmp(at + 1, "0000", 4) == 0;
        }
        for (at++; at < end && strchr(" \t\r\n", *at) != NULL; at++)
            ;
        if (has_nul && at < end && *at == ':')
            return true;
    }
    return false;
}

/* The document as a tree, or NULL. */
static json_object *parse_body(struct tk_slice body, struct jsonapi_errors *errors)
{
    static const struct tk_json_rules rules = {.max_depth = MAX_DEPTH,
                                               .refuse_duplicate_names = true};
    struct tk_json_value value;

    if (body.len == 0) {
        refuse_body(errors, JSONAPI_INVALID_BODY, "The body is empty.");
        return NULL;
    }
    switch (tk_json_scan(body, &rules, &value, NULL)) {
    case TK_OK:
        break;
    case TK_ELIMIT:
        refuse_body(errors, JSONAPI_INVALID_JSON, "The body is nested too deeply.");
        return NULL;
    default:
        refuse_body(errors, JSONAPI_INVALID_JSON, "The body is not valid JSON.");
        return NULL;
    }
    if (value.type != TK_JSON_OBJECT) {
        refuse(errors, JSONAPI_INVALID_BODY, "The document must be an object with data.", "");
        return NULL;
    }
    if (has_nul_in_name(value.raw)) {
        refuse_body(errors, JSONAPI_INVALID_BODY, "A member name holds U+0000.");
        return NULL;
    }
    struct json_tokener *parser = json_tokener_new_ex(2 * MAX_DEPTH);
    tk_assert(parser != NULL);
    json_object *root = json_tokener_parse_ex(parser, value.raw.ptr, (int)value.raw.len);
    json_tokener_free(parser);
    if (root == NULL)
        refuse_body(errors, JSONAPI_INVALID_JSON, "The body is not valid JSON.");
    return root;
}

static void check_type(json_object *data, const char *expected, struct jsonapi_errors *errors)
{
    json_object *type;

    if (!json_object_object_get_ex(data, "type", &type))
        refuse(errors, JSONAPI_INVALID_BODY, "type is missing.", "/data");
    else if (!json_object_is_type(type, json_type_string))
        refuse(errors, JSONAPI_INVALID_BODY, "type must be a string.", "/data/type");
    else if (!tk_slice_eq_str(
                 tk_slice(json_object_get_string(type), (size_t)json_object_get_string_len(type)),
                 expected))
        refuse(errors, JSONAPI_CONFLICT, "The type is not the one of this collection.",
               "/data/type");
}

static void check_id(json_object *data, const struct jsonapi_shape *shape,
                     struct jsonapi_errors *errors)
{
    json_object *id;
    struct tk_uuid uuid;

    if (!json_object_object_get_ex(data, "id", &id))
        return;
    if (shape->refuses_id) {
        refuse(errors, JSONAPI_FORBIDDEN, "Ids are chosen by the server.", "/data/id");
        return;
    }
    if (!json_object_is_type(id, json_type_string)) {
        refuse(errors, JSONAPI_INVALID_BODY, "id must be a string.", "/data/id");
        return;
    }
    struct tk_slice text =
        tk_slice(json_object_get_string(id), (size_t)json_object_get_string_len(id));
    if (shape->id != NULL && (tk_uuid_parse(text, &uuid) != TK_OK || !tk_uuid_eq(&uuid, shape->id)))
        refuse(errors, JSONAPI_CONFLICT, "The id in the document is not the id in the URL.",
               "/data/id");
}

static bool is_known(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

/* The attributes object, or NULL when it is absent or wrong. */
static json_object *check_attributes(json_object *data, const struct jsonapi_shape *shape,
                                     struct jsonapi_errors *errors)
{
    json_object *attributes;

    if (!json_object_object_get_ex(data, "attributes", &attributes))
        return NULL;
    if (!json_object_is_type(attributes, json_type_object)) {
        refuse(errors, JSONAPI_INVALID_BODY, "attributes must be an object.", "/data/attributes");
        return NULL;
    }
    json_object_object_foreach(attributes, name, value)
    {
        (void)value;
        if (!is_known(name, shape->attributes))
            refuse_member(errors, "Unknown attribute.", "/data/attributes", name);
    }
    return attributes;
}

static void check_relationships(json_object *data, struct jsonapi_errors *errors)
{
    json_object *relationships;

    if (!json_object_object_get_ex(data, "relationships", &relationships))
        return;
    if (!json_object_is_type(relationships, json_type_object)) {
        refuse(errors, JSONAPI_INVALID_BODY, "relationships must be an object.",
               "/data/relationships");
        return;
    }
    json_object_object_foreach(relationships, name, value)
    {
        (void)value;
        refuse_member(errors, "Unknown relationship.", "/data/relationships", name);
    }
}

bool jsonapi_request_read(struct tk_slice body, const struct jsonapi_shape *shape,
                          struct jsonapi_request *request, struct jsonapi_errors *errors)
{
    json_object *data;

    *request = (struct jsonapi_request){.root = parse_body(body, errors)};
    if (request->root == NULL)
        return false;
    if (!json_object_object_get_ex(request->root, "data", &data)) {
        refuse(errors, JSONAPI_INVALID_BODY, "data is missing.", "");
        return false;
    }
    if (!json_object_is_type(data, json_type_object)) {
        refuse(errors, JSONAPI_INVALID_BODY, "data must be a resource object.", "/data");
        return false;
    }
    check_type(data, shape->type, errors);
    check_id(data, shape, errors);
    request->attributes = check_attributes(data, shape, errors);
    check_relationships(data, errors);
    return errors->status == 0;
}

void jsonapi_request_fini(struct jsonapi_request *request)
{
    json_object_put(request->root);
    *request = (struct jsonapi_request){0};
}
