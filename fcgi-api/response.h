/* SPDX-License-Identifier: MIT */
/* An answer, and how it looks on the wire: CGI style, "Status:" first, the headers of H11 always.
 */
#pragma once

#include "common/tk_buf.h"
#include "common/tk_settings.h"
#include "fcgi-api/etag.h"
#include "fcgi-api/request.h"

/* Zero-initialise; response_fini gives the memory back. */
struct route;

struct response {
    int status;
    const char *content_type; /* constant; NULL: no body, as for 204 and 304 */
    struct tk_buf headers;    /* whole lines beyond the common ones */
    struct tk_buf body;
    bool is_preflight;         /* H19: other headers than the rest */
    bool varies_by_accept;     /* JSON:API routes */
    const struct route *route; /* first row of the path, for the access log; NULL: unknown */
    char user[9];              /* for the access log: start of a UUID, or empty */
    struct tk_buf user_event;  /* to publish once the client has its answer; empty: none */
};
void response_fini(struct response *response);

/* Every status that an answer may have. */
struct http_status {
    int status;
    const char *reason;
};
extern const struct http_status http_statuses[];
extern const size_t http_status_count;

void response_add_header(struct response *response, const char *name, const char *value);

/*
 * Adds the ETag, and makes the answer 304 without body when the request is a GET or HEAD whose
 * If-None-Match says the client has it already.
 */
void response_set_etag(struct response *response, const struct request *request,
                       const struct etag *etag);

/* The whole answer, appended: head and, unless the request was HEAD, body. */
void response_write(const struct response *response, const struct request *request,
                    const struct tk_string_list *cors_origins, struct tk_buf *out);
