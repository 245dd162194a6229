/* SPDX-License-Identifier: MIT */
/*
 * The order of checks (H8) reads off `checks` from top to bottom: each stage answers the request or
 * lets it pass to the next. Only the handlers at the end touch the database, so every refusal
 * before them works while it is down (H92).
 */
#include "fcgi-api/api.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"
#include "common/tk_url.h"
#include "fcgi-api/media_type.h"

#define RETRY_AFTER_SECONDS "5"

enum stage {
    PASSED,
    ANSWERED, /* with a response, or with errors to make one of */
};

static enum tk_err load_word_list(struct api *api)
{
    char why[PATH_MAX + 64];
    enum tk_err err =
        profanity_open(api->settings->profanity_file, &api->profanity, why, sizeof(why));

    if (err == TK_OK)
        return TK_OK;
    tk_log_write(api->settings->dev ? TK_LOG_WARN : TK_LOG_ERROR,
                 "TAKO_PROFANITY_FILE: %s; none does without a list", why);
    return api->settings->dev ? TK_OK : err;
}

static enum tk_err read_proxies(struct api *api)
{
    size_t bad = 0;
    enum tk_err err = trusted_proxies_new(&api->settings->trusted_proxies, &api->proxies, &bad);

    if (err)
        tk_log_error("TAKO_TRUSTED_PROXIES: item %zu is no address and no network", bad + 1);
    return err;
}

static void make_shared(struct api *api)
{
    const unsigned per_minute[RATE_CLASS_COUNT] = {
        [RATE_POST] = (unsigned)api->settings->rate_post,
        [RATE_OTHER] = (unsigned)api->settings->rate_other,
    };

    api->limits = rate_limits_new(per_minute);
    api->metrics = metrics_new();
}

enum tk_err api_init(struct api *api, const struct api_settings *settings)
{
    char *conninfo = NULL;
    const char *why = NULL;

    *api = (struct api){.settings = settings};
    /* With TAKO_DEV the address may be missing; libpq's own defaults then apply. */
    enum tk_err err = settings->database_url != NULL
                          ? tk_database_url(settings->database_url, &conninfo, &why)
                          : TK_OK;
    if (err) {
        tk_log_error("DATABASE_URL: %s", why);
        return err;
    }
    err = load_word_list(api);
    if (!err)
        err = read_proxies(api);
    if (!err) {
        make_shared(api);
        description_init(&api->description, settings);
        api->auth = auth_new(&settings->tokens, settings->admin_token);
        api->db =
            users_db_new(conninfo != NULL ? conninfo : "", (int)settings->database_timeout_ms);
    }
    free(conninfo);
    return err;
}

void api_fini(struct api *api)
{
    auth_free(api->auth);
    users_db_free(api->db);
    profanity_free(api->profanity);
    trusted_proxies_free(api->proxies);
    rate_limits_free(api->limits);
    metrics_free(api->metrics);
    description_fini(&api->description);
    *api = (struct api){0};
}

void exchange_refuse(struct exchange *x, enum jsonapi_error kind, const char *detail)
{
    jsonapi_errors_add(&x->errors, kind, detail, JSONAPI_SOURCE_NONE, (struct tk_slice){0});
}

static void refuse_header(struct exchange *x, enum jsonapi_error kind, const char *detail,
                          const char *header)
{
    jsonapi_errors_add(&x->errors, kind, detail, JSONAPI_SOURCE_HEADER, tk_slice_str(header));
}

void exchange_fail(struct exchange *x, enum tk_err err)
{
    enum tk_log_level level = TK_LOG_WARN;

    metrics_count_database_error(x->api->metrics, err);
    switch (err) {
    case TK_ENOTFOUND:
        exchange_refuse(x, JSONAPI_NOT_FOUND, "No such user.");
        return;
    case TK_EDENIED:
        refuse_header(x, JSONAPI_PRECONDITION_FAILED, "The user has changed meanwhile.",
                      "If-Match");
        return;
    case TK_EINVAL:
        exchange_refuse(x, JSONAPI_INVALID_BODY, "A value cannot be stored.");
        return;
    case TK_EUNAVAIL:
    case TK_ETIMEOUT:
        exchange_refuse(x, JSONAPI_UNAVAILABLE, "Try again later.");
        response_add_header(x->response, "Retry-After", RETRY_AFTER_SECONDS);
        break;
    default:
        exchange_refuse(x, JSONAPI_INTERNAL, "Something went wrong here.");
        level = TK_LOG_ERROR;
        break;
    }
    tk_log_write(level, "request failed request_id=%s route=%s cause=\"%s\"", x->request->id,
                 x->match.rows->pattern, tk_strerror(err));
}

static bool may_stand_in_uri(unsigned char c)
{
    return c > ' ' && c < 0x7f && strchr("\"<>\\^`{|}", c) == NULL;
}

/* What may not stand in a URI is percent-encoded; the front server should have seen to that. */
static void write_uri_bytes(struct tk_slice raw, struct tk_buf *out)
{
    size_t done = 0;

    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.ptr[i];
        if (may_stand_in_uri(c))
            continue;
        tk_buf_append(out, raw.ptr + done, i - done);
        tk_buf_appendf(out, "%%%02X", c);
        done = i + 1;
    }
    if (done < raw.len)
        tk_buf_append(out, raw.ptr + done, raw.len - done);
}

void exchange_write_link(const struct exchange *x, struct tk_slice target, struct tk_buf *out)
{
    const char *base = x->api->settings->public_url;

    if (base != NULL) {
        struct tk_slice prefix = tk_slice_str(base);
        while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
            prefix.len--;
        tk_buf_append_slice(out, prefix);
    }
    write_uri_bytes(target, out);
}

void exchange_write_self_link(const struct exchange *x, struct tk_buf *out)
{
    struct tk_buf url = {0};

    exchange_write_link(x, x->request->target, &url);
    jsonapi_link_write("self", tk_buf_slice(&url), out);
    tk_buf_fini(&url);
}

static enum stage answer_preflight(struct exchange *x)
{
    if (x->request->method != HTTP_OPTIONS || x->request->headers[HEADER_PREFLIGHT_METHOD] == NULL)
        return PASSED;
    x->response->status = 204;
    x->response->is_preflight = true;
    return ANSWERED;
}

static enum stage find_route(struct exchange *x)
{
    x->response->varies_by_accept = true;
    if (!router_find(x->request->path, &x->match)) {
        exchange_refuse(x, JSONAPI_NOT_FOUND, "There is nothing at this address.");
        return ANSWERED;
    }
    x->response->route = x->match.rows;
    x->response->varies_by_accept = x->match.rows->format == FORMAT_JSONAPI;
    return PASSED;
}

/* H98. What watches us is not limited: it must see us when we are busy. */
static enum stage check_rate(struct exchange *x)
{
    enum rate_class kind = x->request->method == HTTP_POST ? RATE_POST : RATE_OTHER;
    char seconds[16];

    if (x->match.rows->format == FORMAT_STATUS || !rate_limits_are_on(x->api->limits, kind))
        return PASSED;
    struct client_address address = client_address_of(x->request, x->api->proxies);
    unsigned wait = rate_limits_take(x->api->limits, &address, kind, tk_clock_us());
    if (wait == 0)
        return PASSED;
    exchange_refuse(x, JSONAPI_TOO_MANY_REQUESTS, "There are too many requests from your address.");
    snprintf(seconds, sizeof(seconds), "%u", wait);
    response_add_header(x->response, "Retry-After", seconds);
    return ANSWERED;
}

static void add_allow(struct exchange *x)
{
    struct tk_buf allow = {0};

    router_write_methods(x->match.methods, ", ", &allow);
    response_add_header(x->response, "Allow", tk_buf_str(&allow));
    tk_buf_fini(&allow);
}

/* OPTIONS without a preflight's header: public, like the preflight itself (H20). */
static enum stage answer_options(struct exchange *x)
{
    if (x->request->method != HTTP_OPTIONS)
        return PASSED;
    x->response->status = 204;
    add_allow(x);
    return ANSWERED;
}

static enum stage check_token(struct exchange *x)
{
    enum auth_level level = auth_check(x->api->auth, x->request->headers[HEADER_AUTHORIZATION]);

    if (level >= AUTH_CLIENT || !router_needs_token(&x->match))
        return PASSED;
    refuse_header(x, JSONAPI_UNAUTHORIZED, "A valid bearer token is required.", "Authorization");
    response_add_header(x->response, "WWW-Authenticate",
                        level == AUTH_NO_CREDENTIALS
                            ? "Bearer realm=\"tako\""
                            : "Bearer realm=\"tako\", error=\"invalid_token\"");
    return ANSWERED;
}

static const struct route *row_of(const struct exchange *x)
{
    return router_row(&x->match, x->request->method);
}

static enum stage check_method(struct exchange *x)
{
    struct tk_buf detail = {0};

    if (row_of(x) != NULL)
        return PASSED;
    tk_buf_append_str(&detail, "Use ");
    router_write_methods(x->match.methods, " or ", &detail);
    tk_buf_append_char(&detail, '.');
    exchange_refuse(x, JSONAPI_METHOD_NOT_ALLOWED, tk_buf_str(&detail));
    add_allow(x);
    tk_buf_fini(&detail);
    return ANSWERED;
}

static enum stage check_admin(struct exchange *x)
{
    if (row_of(x)->access != ACCESS_ADMIN ||
        auth_check(x->api->auth, x->request->headers[HEADER_AUTHORIZATION]) == AUTH_ADMIN)
        return PASSED;
    exchange_refuse(x, JSONAPI_FORBIDDEN, "This needs the administrator's token.");
    return ANSWERED;
}

static enum stage check_accept(struct exchange *x)
{
    const char *accept = x->request->headers[HEADER_ACCEPT];
    enum route_format format = row_of(x)->format;

    if (format == FORMAT_JSONAPI && !media_accepts_jsonapi(accept)) {
        refuse_header(x, JSONAPI_NOT_ACCEPTABLE,
                      "This resource is available as " MEDIA_JSONAPI " only.", "Accept");
        return ANSWERED;
    }
    if (format == FORMAT_JSON && !media_accepts_json(accept)) {
        refuse_header(x, JSONAPI_NOT_ACCEPTABLE,
                      "This resource is available as application/json only.", "Accept");
        return ANSWERED;
    }
    return PASSED;
}

static bool has_body(const struct exchange *x)
{
    return (x->request->method & (HTTP_POST | HTTP_PATCH)) != 0;
}

static enum stage check_content_type(struct exchange *x)
{
    enum media_kind kind = media_content_type(x->request->headers[HEADER_CONTENT_TYPE]);

    /* H4, H26: without a body, only our own type with forbidden parameters is wrong. */
    if (row_of(x)->format != FORMAT_JSONAPI || kind == MEDIA_KIND_JSONAPI ||
        (!has_body(x) && kind == MEDIA_KIND_OTHER))
        return PASSED;
    refuse_header(x, JSONAPI_UNSUPPORTED_MEDIA_TYPE, "Send " MEDIA_JSONAPI " without parameters.",
                  "Content-Type");
    return ANSWERED;
}

static enum stage read_body(struct exchange *x)
{
    if (!has_body(x))
        return PASSED;
    switch (request_read_body(x->request, (size_t)x->api->settings->body_max, &x->body)) {
    case TK_OK:
        return PASSED;
    case TK_ELIMIT:
        exchange_refuse(x, JSONAPI_TOO_LARGE, "The body is too large.");
        return ANSWERED;
    case TK_ESYNTAX:
        refuse_header(x, JSONAPI_INVALID_BODY, "Content-Length must be a number.",
                      "Content-Length");
        return ANSWERED;
    default:
        exchange_refuse(x, JSONAPI_INVALID_BODY, "The body ended too early.");
        return ANSWERED;
    }
}

static enum stage read_query(struct exchange *x)
{
    switch (query_parse(x->request->query, &x->query)) {
    case TK_OK:
        return PASSED;
    case TK_ELIMIT:
        exchange_refuse(x, JSONAPI_INVALID_QUERY, "There are too many query parameters.");
        return ANSWERED;
    default:
        exchange_refuse(x, JSONAPI_INVALID_QUERY, "The query string is not UTF-8.");
        return ANSWERED;
    }
}

static enum stage run_handler(struct exchange *x)
{
    row_of(x)->handle(x);
    return ANSWERED;
}

static enum stage (*const checks[])(struct exchange *) = {
    answer_preflight, find_route,   check_rate,         answer_options, check_token, check_method,
    check_admin,      check_accept, check_content_type, read_body,      read_query,  run_handler,
};

static void answer_errors(const struct jsonapi_errors *errors, struct response *response)
{
    response->status = errors->status;
    response->content_type = MEDIA_JSONAPI;
    tk_buf_clear(&response->body);
    jsonapi_errors_write(errors, &response->body);
}

/* H102, when switched on. */
static void add_timing(struct exchange *x, uint64_t start_us)
{
    char timing[48];

    if (!x->api->settings->server_timing)
        return;
    snprintf(timing, sizeof(timing), "app;dur=%.3f", (double)(tk_clock_us() - start_us) / 1000);
    response_add_header(x->response, "Server-Timing", timing);
}

void api_handle(struct api *api, const struct request *request, struct response *response)
{
    struct exchange x = {.api = api, .request = request, .response = response};
    uint64_t start_us = tk_clock_us();

    for (size_t i = 0; i < TK_ARRAY_LEN(checks) && checks[i](&x) == PASSED; i++)
        ;
    if (x.errors.status != 0)
        answer_errors(&x.errors, response);
    add_timing(&x, start_us);
    jsonapi_errors_fini(&x.errors);
    query_fini(&x.query);
    tk_buf_fini(&x.body);
}

void api_answer_unusable(struct response *response)
{
    struct jsonapi_errors errors = {0};

    jsonapi_errors_add(&errors, JSONAPI_INTERNAL, "Something went wrong here.", JSONAPI_SOURCE_NONE,
                       (struct tk_slice){0});
    answer_errors(&errors, response);
    jsonapi_errors_fini(&errors);
}

void api_record(struct api *api, const struct request *request, const struct response *response,
                uint64_t microseconds)
{
    metrics_count_request(api->metrics, request, response, microseconds);
    tk_log_info(
        "%s %s status=%d us=%" PRIu64 " request_id=%s%s%s", http_method_name(request->method),
        response->route != NULL ? response->route->pattern : "-", response->status, microseconds,
        request->id, response->user[0] != '\0' ? " user=" : "", response->user);
}
