/* SPDX-License-Identifier: MIT */
/*
 * May this request become a socket? The rules of C1-C16 in the order of C2, without I/O: first
 * everything that the request alone decides, then (after the user was looked up) the upgrade
 * headers.
 */
#pragma once

#include "broker/connect/http_head.h"
#include "broker/phoenix/phx_codec.h"
#include "common/tk_settings.h"
#include "common/tk_uuid.h"

struct address_use;

enum upgrade_verdict {
    UPGRADE_OK,
    UPGRADE_NOT_FOUND,      /* 404 {"errors":{"detail":"Not Found"}} */
    UPGRADE_NOT_FOUND_HEAD, /* the same to a HEAD request: without the body */
    UPGRADE_BAD_METHOD,     /* 400, empty */
    UPGRADE_BAD_QUERY,      /* 400 {"errors":{"detail":"Bad Request"}}: not UTF-8 once decoded */
    UPGRADE_FORBIDDEN,      /* 403, empty: Origin, vsn, user */
    UPGRADE_UNAVAILABLE,    /* 503, empty, Retry-After */
    UPGRADE_REQUIRED,       /* 426, empty, Connection: upgrade, Upgrade: websocket */
    UPGRADE_BAD_VERSION,    /* 426 with Sec-WebSocket-Version: 13 */
    UPGRADE_BAD_REQUEST,    /* 400, empty: no key, HTTP/1.0 */
};

struct upgrade_request {
    enum phx_vsn vsn;
    struct tk_uuid user;          /* canonical (C84, C85) */
    struct tk_slice key;          /* Sec-WebSocket-Key; borrows the head */
    bool offers_phoenix_protocol; /* answer Sec-WebSocket-Protocol: phoenix (C14) */
    struct address_use *address;  /* the connection's; set by handshake.c */
};

/* True when the path is the socket's: empty segments ignored (C1). */
bool upgrade_path_is_socket(struct tk_slice path);

/*
 * Path, method, query, Origin, vsn and the form of the user's id. UPGRADE_OK: ask for the user
 * next; request->vsn, user and offers_phoenix_protocol are set.
 */
enum upgrade_verdict upgrade_check_request(const struct http_head *head,
                                           const struct tk_string_list *origins,
                                           struct upgrade_request *request);

/* The last stage of C2, once the user is known to exist. Sets request->key. */
enum upgrade_verdict upgrade_check_headers(const struct http_head *head,
                                           struct upgrade_request *request);

/*
 * The complete response for a refusal, exact per C7. keep_alive is what the client may do next
 * (HTTP/1.1 without Connection: close and without a body).
 */
void upgrade_write_refusal(enum upgrade_verdict verdict, bool keep_alive, struct tk_buf *out);

/*
 * Origin rules of C11-C13 for one Origin value (origin.c); an empty list allows any. Host names are
 * compared in any case.
 */
bool origin_is_allowed(struct tk_slice origin, const struct tk_string_list *allowed);

/* An entry of the list that can match something: [scheme:]//host[:port]. */
bool origin_rule_is_valid(struct tk_slice rule);

/*
 * Query decoding of C3 (query.c): finds a scalar key. TK_ENOTFOUND when absent, TK_EINVAL when
 * present but not a string (key[]= or key[a]=), whichever came last wins. The decoded value is
 * appended to out.
 */
enum tk_err query_find(struct tk_slice query, const char *key, struct tk_buf *out) TK_MUST_CHECK;

/* False when some key or value is not UTF-8 once decoded (C7). */
bool query_is_utf8(struct tk_slice query);
