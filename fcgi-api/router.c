/* SPDX-License-Identifier: MIT */
/*
 * The route table. Rows with one pattern stand together. A resource is added with a row here and a
 * file in resources/.
 */
#include "fcgi-api/router.h"

#include "common/tk_hex.h"
#include "fcgi-api/resources/resources.h"

#define MAX_SEGMENTS 8
#define READ         (HTTP_GET | HTTP_HEAD)

#define USERS     "/api/json/accounts/users"
#define ONE_USER  USERS "/{id}"
#define LEADERS   "/api/json/leaderboard"
#define LIVENESS  "/healthz"
#define READINESS "/readyz"
#define METRICS   "/metrics"

const struct route router_table[] = {
    {USERS, READ, ACCESS_ADMIN, FORMAT_JSONAPI, users_resource_list},
    {USERS, HTTP_POST, ACCESS_CLIENT, FORMAT_JSONAPI, users_resource_create},
    {ONE_USER, READ, ACCESS_CLIENT, FORMAT_JSONAPI, users_resource_show},
    {ONE_USER, HTTP_PATCH, ACCESS_CLIENT, FORMAT_JSONAPI, users_resource_update},
    {LEADERS, READ, ACCESS_CLIENT, FORMAT_JSON, leaderboard_resource_show},
    {"/api/json/open_api", READ, ACCESS_ANYONE, FORMAT_FIXED, open_api_resource_show},
    {"/api/json/json_schema", READ, ACCESS_ANYONE, FORMAT_FIXED, json_schema_resource_show},
    /* The same where AshJsonApi has them. */
    {"/api/json/accounts/open_api", READ, ACCESS_ANYONE, FORMAT_FIXED, open_api_resource_show},
    {"/api/json/accounts/json_schema", READ, ACCESS_ANYONE, FORMAT_FIXED,
     json_schema_resource_show},
    {LIVENESS, READ, ACCESS_ANYONE, FORMAT_STATUS, health_resource_live},
    {READINESS, READ, ACCESS_ANYONE, FORMAT_STATUS, health_resource_ready},
    {METRICS, READ, ACCESS_ANYONE, FORMAT_STATUS, metrics_resource_show},
    /* The same below /api, for a web server whose /healthz asks somebody else. */
    {"/api" LIVENESS, READ, ACCESS_ANYONE, FORMAT_STATUS, health_resource_live},
    {"/api" READINESS, READ, ACCESS_ANYONE, FORMAT_STATUS, health_resource_ready},
    {"/api" METRICS, READ, ACCESS_ANYONE, FORMAT_STATUS, metrics_resource_show},
};
const size_t router_table_count = TK_ARRAY_LEN(router_table);

struct segments {
    struct tk_slice items[MAX_SEGMENTS];
    size_t count;
};

/* Decodes raw into out, which has room; false for what H9 refuses. */
static bool decode_segment(struct tk_slice raw, char *out, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '%') {
            int high = i + 2 < raw.len ? tk_hex_value(raw.ptr[i + 1]) : -1;
            int low = i + 2 < raw.len ? tk_hex_value(raw.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0' || c == '/')
            return false;
        out[(*len)++] = c;
    }
    return true;
}

static struct tk_slice next_segment(struct tk_slice *rest)
{
    while (rest->len > 0 && rest->ptr[0] == '/')
        *rest = tk_slice(rest->ptr + 1, rest->len - 1);

    const char *end = rest->len > 0 ? memchr(rest->ptr, '/', rest->len) : NULL;
    struct tk_slice segment =
        tk_slice(rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len);
    *rest = tk_slice(rest->ptr + segment.len, rest->len - segment.len);
    return segment;
}

/* Splits path into decoded segments, whose bytes go to text (ROUTE_MAX_PATH). */
static bool split_path(struct tk_slice path, char *text, struct segments *segments)
{
    struct tk_slice raw;

    segments->count = 0;
    if (path.len > ROUTE_MAX_PATH)
        return false;
    while ((raw = next_segment(&path)).len > 0) {
        size_t len;
        if (segments->count == MAX_SEGMENTS || !decode_segment(raw, text, &len))
            return false;
        segments->items[segments->count++] = tk_slice(text, len);
        text += len;
    }
    return true;
}

static bool matches(const char *pattern, const struct segments *segments, struct tk_slice *id)
{
    struct tk_slice rest = tk_slice_str(pattern), wanted;
    size_t at = 0;

    for (; (wanted = next_segment(&rest)).len > 0; at++) {
        if (at == segments->count)
            return false;
        if (tk_slice_eq_str(wanted, "{id}"))
            *id = segments->items[at];
        else if (!tk_slice_eq(wanted, segments->items[at]))
            return false;
    }
    return at == segments->count;
}

bool router_find(struct tk_slice path, struct route_match *match)
{
    struct segments segments;
    size_t row = 0;

    match->id = (struct tk_slice){0};
    if (!split_path(path, match->text, &segments))
        return false;
    while (row < router_table_count && !matches(router_table[row].pattern, &segments, &match->id))
        row++;
    if (row == router_table_count)
        return false;
    match->rows = &router_table[row];
    match->methods = HTTP_OPTIONS;
    for (match->count = 0;
         row < router_table_count && strcmp(router_table[row].pattern, match->rows->pattern) == 0;
         row++, match->count++)
        match->methods |= router_table[row].methods;
    return true;
}

const struct route *router_row(const struct route_match *match, enum http_method method)
{
    for (size_t i = 0; i < match->count; i++) {
        if ((match->rows[i].methods & method) != 0)
            return &match->rows[i];
    }
    return NULL;
}

bool router_needs_token(const struct route_match *match)
{
    for (size_t i = 0; i < match->count; i++) {
        if (match->rows[i].access != ACCESS_ANYONE)
            return true;
    }
    return false;
}

void router_write_methods(unsigned methods, const char *last_separator, struct tk_buf *out)
{
    static const enum http_method order[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PATCH};
    const char *separator = "";

    for (size_t i = 0; i < TK_ARRAY_LEN(order); i++) {
        if ((methods & order[i]) == 0)
            continue;
        tk_buf_append_str(out, separator);
        tk_buf_append_str(out, http_method_name(order[i]));
        separator = ", ";
    }
    tk_buf_append_str(out, last_separator);
    tk_buf_append_str(out, http_method_name(HTTP_OPTIONS));
}
