/* SPDX-License-Identifier: MIT */
/* Variables in, struct request out. Nothing here decides whether a request is allowed. */
#include "fcgi-api/request.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/tk_uuid.h"

#define BODY_CHUNK 16384

static const struct tk_slice header_variables[HEADER_COUNT] = {
    [HEADER_ACCEPT] = TK_SLICE_INIT("HTTP_ACCEPT"),
    [HEADER_AUTHORIZATION] = TK_SLICE_INIT("HTTP_AUTHORIZATION"),
    [HEADER_CONTENT_LENGTH] = TK_SLICE_INIT("CONTENT_LENGTH"),
    [HEADER_CONTENT_TYPE] = TK_SLICE_INIT("CONTENT_TYPE"),
    [HEADER_FORWARDED_FOR] = TK_SLICE_INIT("HTTP_X_FORWARDED_FOR"),
    [HEADER_IDEMPOTENCY_KEY] = TK_SLICE_INIT("HTTP_IDEMPOTENCY_KEY"),
    [HEADER_IF_MATCH] = TK_SLICE_INIT("HTTP_IF_MATCH"),
    [HEADER_IF_NONE_MATCH] = TK_SLICE_INIT("HTTP_IF_NONE_MATCH"),
    [HEADER_ORIGIN] = TK_SLICE_INIT("HTTP_ORIGIN"),
    [HEADER_PREFLIGHT_METHOD] = TK_SLICE_INIT("HTTP_ACCESS_CONTROL_REQUEST_METHOD"),
    [HEADER_REMOTE_ADDRESS] = TK_SLICE_INIT("REMOTE_ADDR"),
    [HEADER_REQUEST_ID] = TK_SLICE_INIT("HTTP_X_REQUEST_ID"),
};

static const struct {
    const char *name;
    enum http_method method;
} methods[] = {
    {"GET", HTTP_GET},     {"HEAD", HTTP_HEAD},       {"POST", HTTP_POST},
    {"PATCH", HTTP_PATCH}, {"OPTIONS", HTTP_OPTIONS}, {"OTHER", HTTP_OTHER},
};

const char *http_method_name(enum http_method method)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(methods); i++) {
        if (methods[i].method == method)
            return methods[i].name;
    }
    return "OTHER";
}

static enum http_method method_of(const char *name)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    }
    return HTTP_OTHER;
}

/* H12: a header that came twice counts as one with both values. */
static void add_header(struct request *request, enum request_header header, const char *value)
{
    const char *before = request->headers[header];

    if (value[0] == '\0')
        return;
    if (before == NULL) {
        request->headers[header] = value;
        return;
    }
    char *both = tk_xasprintf("%s, %s", before, value);
    free(request->joined[header]);
    request->joined[header] = both;
    request->headers[header] = both;
}

static void read_variable(struct request *request, const char *variable)
{
    const char *equals = strchr(variable, '=');

    if (equals == NULL)
        return;
    struct tk_slice name = tk_slice(variable, (size_t)(equals - variable));
    if (tk_slice_eq(name, TK_SLICE("REQUEST_METHOD"))) {
        request->method = method_of(equals + 1);
        return;
    }
    if (tk_slice_eq(name, TK_SLICE("REQUEST_URI"))) {
        request->target = tk_slice_str(equals + 1);
        return;
    }
    for (int header = 0; header < HEADER_COUNT; header++) {
        if (tk_slice_eq(name, header_variables[header])) {
            add_header(request, header, equals + 1);
            return;
        }
    }
}

/* "http://host/path" is a legal request target too; what counts is the path. */
static struct tk_slice without_authority(struct tk_slice target)
{
    if (target.len == 0 || target.ptr[0] == '/')
        return target;
    const char *authority = memmem(target.ptr, target.len, "://", 3);
    if (authority == NULL)
        return target;
    authority += 3;
    size_t rest = target.len - (size_t)(authority - target.ptr);
    const char *path = memchr(authority, '/', rest);
    if (path == NULL)
        return TK_SLICE("/");
    return tk_slice(path, target.len - (size_t)(path - target.ptr));
}

static void split_target(struct request *request)
{
    request->target = without_authority(request->target);
    request->path = request->target;

    const char *mark =
        request->target.len > 0 ? memchr(request->target.ptr, '?', request->target.len) : NULL;
    if (mark != NULL) {
        request->path.len = (size_t)(mark - request->target.ptr);
        request->query = tk_slice(mark + 1, request->target.len - request->path.len - 1);
    }
}

static bool is_request_id(const char *id)
{
    size_t len = id != NULL ? strlen(id) : 0;

    return len >= REQUEST_ID_MIN && len <= REQUEST_ID_MAX &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=+/-") ==
               len;
}

static void choose_id(struct request *request)
{
    struct tk_uuid fresh;

    if (is_request_id(request->headers[HEADER_REQUEST_ID])) {
        snprintf(request->id, sizeof(request->id), "%s", request->headers[HEADER_REQUEST_ID]);
        return;
    }
    tk_uuid_random(&fresh);
    tk_uuid_format(&fresh, request->id);
}

void request_init(struct request *request, char *const *variables, struct body_source body)
{
    *request = (struct request){.method = HTTP_OTHER, .body = body};
    for (size_t i = 0; variables[i] != NULL; i++)
        read_variable(request, variables[i]);
    split_target(request);
    choose_id(request);
}

void request_fini(struct request *request)
{
    for (int header = 0; header < HEADER_COUNT; header++)
        free(request->joined[header]);
    *request = (struct request){0};
}

static enum tk_err parse_length(const char *text, size_t limit, size_t *length)
{
    size_t value = 0;

    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return TK_ESYNTAX;
        /* One past the limit says enough; it also keeps the sum from running over. */
        if (value <= limit)
            value = value * 10 + (size_t)(*text - '0');
    }
    *length = value;
    return value > limit ? TK_ELIMIT : TK_OK;
}

/* Reads until wanted bytes are there or the body ends. */
static enum tk_err read_up_to(const struct body_source *source, size_t wanted, struct tk_buf *body)
{
    while (body->len < wanted) {
        size_t room = wanted - body->len < BODY_CHUNK ? wanted - body->len : BODY_CHUNK;
        ssize_t got = source->read(source->arg, tk_buf_reserve(body, room), room);

        if (got < 0)
            return TK_EIO;
        if (got == 0)
            break;
        body->len += (size_t)got;
    }
    return TK_OK;
}

enum tk_err request_read_body(const struct request *request, size_t limit, struct tk_buf *body)
{
    const char *length = request->headers[HEADER_CONTENT_LENGTH];
    size_t wanted = limit + 1; /* without a length: to the end, or one byte too many (H12) */
    enum tk_err err;

    if (length != NULL && (err = parse_length(length, limit, &wanted)) != TK_OK)
        return err;
    err = read_up_to(&request->body, wanted, body);
    if (err)
        return err;
    if (length != NULL)
        return body->len == wanted ? TK_OK : TK_EIO;
    return body->len <= limit ? TK_OK : TK_ELIMIT;
}
