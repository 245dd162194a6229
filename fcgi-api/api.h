/* SPDX-License-Identifier: MIT */
/*
 * One request in, one response out: the order of checks (H8) and what the handlers in resources/
 * have at hand. Knows nothing of FastCGI; a test calls api_handle with a made-up request.
 */
#pragma once

#include "common/accounts/profanity.h"
#include "common/accounts/users.h"
#include "fcgi-api/auth.h"
#include "fcgi-api/client_address.h"
#include "fcgi-api/description.h"
#include "fcgi-api/jsonapi.h"
#include "fcgi-api/metrics.h"
#include "fcgi-api/query.h"
#include "fcgi-api/rate_limit.h"
#include "fcgi-api/request.h"
#include "fcgi-api/response.h"
#include "fcgi-api/router.h"
#include "fcgi-api/settings.h"

/* What lives as long as the process. No user state is kept between requests (H59). */
struct api {
    const struct api_settings *settings;
    struct auth *auth;
    struct profanity *profanity; /* NULL: no list */
    struct users_db *db;
    struct trusted_proxies *proxies;
    struct rate_limits *limits; /* common to all workers, as are the counts */
    struct metrics *metrics;
    struct description description;
};

/* Does not connect to anything. TK_EINVAL, with an error logged, when a setting is of no use. */
enum tk_err api_init(struct api *api, const struct api_settings *settings) TK_MUST_CHECK;
void api_fini(struct api *api);

/* One request on its way. Errors that are there when the handler returns become the answer. */
struct exchange {
    struct api *api;
    const struct request *request;
    struct response *response;
    struct route_match match;
    struct query query;
    struct tk_buf body; /* of POST and PATCH */
    struct jsonapi_errors errors;
};

/* Never fails: there is always an answer. response must be zeroed. */
void api_handle(struct api *api, const struct request *request, struct response *response);

/* The answer when there is no working api to ask: the settings are bad. */
void api_answer_unusable(struct response *response);

/* For handlers: the error that stands for err, anything a call of users.h may return. */
void exchange_fail(struct exchange *x, enum tk_err err);
void exchange_refuse(struct exchange *x, enum jsonapi_error kind, const char *detail);

/* The public address of a path, appended: absolute when TAKO_PUBLIC_URL is set (H14). */
void exchange_write_link(const struct exchange *x, struct tk_slice target, struct tk_buf *out);
/* "self":"the URL of this request", a member of a links object, appended. */
void exchange_write_self_link(const struct exchange *x, struct tk_buf *out);

/* Counts a finished request, and writes one info line about it. */
void api_record(struct api *api, const struct request *request, const struct response *response,
                uint64_t microseconds);
