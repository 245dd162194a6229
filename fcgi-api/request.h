/* SPDX-License-Identifier: MIT */
/*
 * A request as the web server describes it, in CGI variables: the same for FastCGI and plain CGI,
 * and easily made up in a test.
 */
#pragma once

#include <sys/types.h>

#include "common/tk_base.h"
#include "common/tk_buf.h"

/* Bits, so that a route can name a set of them. */
enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PATCH = 8,
    HTTP_OPTIONS = 16,
    HTTP_OTHER = 32, /* any other; no route has it */
};
const char *http_method_name(enum http_method method);

enum request_header {
    HEADER_ACCEPT,
    HEADER_AUTHORIZATION,
    HEADER_CONTENT_LENGTH,
    HEADER_CONTENT_TYPE,
    HEADER_FORWARDED_FOR, /* X-Forwarded-For */
    HEADER_IDEMPOTENCY_KEY,
    HEADER_IF_MATCH,
    HEADER_IF_NONE_MATCH,
    HEADER_ORIGIN,
    HEADER_PREFLIGHT_METHOD, /* Access-Control-Request-Method */
    HEADER_REMOTE_ADDRESS,   /* no header, but handed over like one */
    HEADER_REQUEST_ID,
    HEADER_COUNT,
};

#define REQUEST_ID_MIN 20
#define REQUEST_ID_MAX 200

/* Where the body comes from: up to size bytes, 0 at its end, -1 when the connection broke. */
struct body_source {
    ssize_t (*read)(void *arg, char *into, size_t size);
    void *arg;
};

struct request {
    enum http_method method;
    struct tk_slice target;            /* path and query as sent */
    struct tk_slice path;              /* not decoded; the router does that */
    struct tk_slice query;             /* what follows '?'; empty without */
    const char *headers[HEADER_COUNT]; /* NULL: absent or empty; repeated ones joined by ", " */
    char id[REQUEST_ID_MAX + 1];       /* H10 */
    struct body_source body;
    char *joined[HEADER_COUNT]; /* owned storage of headers that came more than once */
};

/*
 * Reads "NAME=value" variables, NULL terminated, which must stay until request_fini. Cannot fail:
 * what is missing or nonsense is found by the checks of api.c, each with its own answer.
 */
void request_init(struct request *request, char *const *variables, struct body_source body);
void request_fini(struct request *request);

/*
 * The whole body, appended. TK_ELIMIT: larger than limit (by CONTENT_LENGTH: found without
 * reading). TK_ESYNTAX: CONTENT_LENGTH is no number. TK_EIO: the body ended early.
 */
enum tk_err request_read_body(const struct request *request, size_t limit,
                              struct tk_buf *body) TK_MUST_CHECK;
