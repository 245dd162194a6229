/* SPDX-License-Identifier: MIT */
/* Every answer goes through response_write, so that none can miss the common headers (H2, H11). */
#include "fcgi-api/response.h"

#include "fcgi-api/cors.h"

#define ALLOWED_METHODS "GET, HEAD, POST, PATCH, OPTIONS"
#define ALLOWED_HEADERS                                                                            \
    "Authorization, Content-Type, Accept, Origin, User-Agent, DNT, Cache-Control, X-Mx-ReqToken, " \
    "Keep-Alive, X-Requested-With, If-Modified-Since, X-CSRF-Token, If-Match, If-None-Match, "     \
    "Idempotency-Key, X-Request-Id"
#define EXPOSED_HEADERS   "ETag, Location, Retry-After, X-Request-Id"
#define PREFLIGHT_MAX_AGE "86400"

const struct http_status http_statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};
const size_t http_status_count = TK_ARRAY_LEN(http_statuses);

static const char *reason_of(int status)
{
    for (size_t i = 0; i < http_status_count; i++) {
        if (http_statuses[i].status == status)
            return http_statuses[i].reason;
    }
    return "Unknown";
}

void response_fini(struct response *response)
{
    tk_buf_fini(&response->headers);
    tk_buf_fini(&response->body);
    tk_buf_fini(&response->user_event);
    *response = (struct response){0};
}

static void write_header(struct tk_buf *out, const char *name, const char *value)
{
    tk_buf_append_str(out, name);
    tk_buf_append_str(out, ": ");
    tk_buf_append_str(out, value);
    tk_buf_append_str(out, "\r\n");
}

void response_add_header(struct response *response, const char *name, const char *value)
{
    write_header(&response->headers, name, value);
}

void response_set_etag(struct response *response, const struct request *request,
                       const struct etag *etag)
{
    const char *known = request->headers[HEADER_IF_NONE_MATCH];

    response_add_header(response, "ETag", etag->text);
    if (known != NULL && (request->method & (HTTP_GET | HTTP_HEAD)) != 0 &&
        etag_if_none_match(known, etag)) {
        response->status = 304;
        response->content_type = NULL;
        tk_buf_clear(&response->body);
    }
}

static void write_cors(const struct response *response, const char *origin, struct tk_buf *out)
{
    if (origin == NULL)
        return; /* H21: served all the same, but no page may read it */
    write_header(out, "Access-Control-Allow-Origin", origin);
    if (response->is_preflight) {
        write_header(out, "Access-Control-Allow-Methods", ALLOWED_METHODS);
        write_header(out, "Access-Control-Allow-Headers", ALLOWED_HEADERS);
        write_header(out, "Access-Control-Max-Age", PREFLIGHT_MAX_AGE);
    } else {
        write_header(out, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
    }
}

static void write_vary(const struct response *response, const struct tk_string_list *origins,
                       struct tk_buf *out)
{
    bool by_origin = cors_varies(origins);

    if (response->varies_by_accept)
        write_header(out, "Vary", by_origin ? "Accept, Origin" : "Accept");
    else if (by_origin)
        write_header(out, "Vary", "Origin");
}

static void write_content(const struct response *response, const struct request *request,
                          struct tk_buf *out)
{
    bool may_be_kept = response->status < 400 && request->method != HTTP_POST;

    write_header(out, "Cache-Control",
                 may_be_kept ? "max-age=0, private, must-revalidate" : "no-store");
    write_header(out, "X-Content-Type-Options", "nosniff");
    if (response->content_type != NULL) {
        write_header(out, "Content-Type", response->content_type);
        tk_buf_appendf(out, "Content-Length: %zu\r\n", response->body.len);
    }
}

void response_write(const struct response *response, const struct request *request,
                    const struct tk_string_list *cors_origins, struct tk_buf *out)
{
    tk_buf_appendf(out, "Status: %d %s\r\n", response->status, reason_of(response->status));
    write_cors(response, cors_allowed_origin(cors_origins, request->headers[HEADER_ORIGIN]), out);
    write_vary(response, cors_origins, out);
    if (!response->is_preflight)
        write_content(response, request, out);
    write_header(out, "X-Request-Id", request->id);
    tk_buf_append_slice(out, tk_buf_slice(&response->headers));
    tk_buf_append_str(out, "\r\n");
    if (request->method != HTTP_HEAD && response->content_type != NULL)
        tk_buf_append_slice(out, tk_buf_slice(&response->body));
}
