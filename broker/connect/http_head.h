/* SPDX-License-Identifier: MIT */
/*
 * The head of one HTTP/1 request, sliced: enough to decide on an upgrade and to answer /healthz.
 * Not a general server: bodies are not read (a request that announces one is answered and closed).
 */
#pragma once

#include "common/tk_base.h"

#define HTTP_HEAD_MAX_HEADERS 64

struct http_header {
    struct tk_slice name;  /* as sent; compare with http_head_find */
    struct tk_slice value; /* blanks trimmed */
};

struct http_head {
    struct tk_slice method;
    struct tk_slice path;  /* before '?', as sent */
    struct tk_slice query; /* behind '?', as sent, may be empty */
    int minor_version;     /* HTTP/1.<minor> */
    struct http_header headers[HTTP_HEAD_MAX_HEADERS];
    size_t header_count;
    size_t len; /* bytes of the head, blank line included */
};

enum http_head_result {
    HTTP_HEAD_OK,
    HTTP_HEAD_MORE,     /* incomplete: read on */
    HTTP_HEAD_BAD,      /* 400 */
    HTTP_HEAD_URI_LONG, /* 414: request line over HTTP_REQUEST_LINE_MAX */
    HTTP_HEAD_LARGE,    /* 431: head over HTTP_HEAD_MAX or too many headers */
};

#define HTTP_REQUEST_LINE_MAX 8192 /* C7: at least 8000 must pass */
#define HTTP_HEAD_MAX         16384

/*
 * Looks at bytes from the start of a request. Strict where leniency is dangerous (RFC 9112: no bare
 * CR or LF, no folding, no blank before the colon, no control characters), and cheap to call again
 * as more bytes arrive. Host is not looked at: nothing depends on it. Slices borrow bytes.
 */
enum http_head_result http_head_parse(struct tk_slice bytes, struct http_head *head);

/* First header of that name (any case); *found may be NULL. An absent one is an empty slice. */
struct tk_slice http_head_find(const struct http_head *head, const char *name, bool *found);

/*
 * The elements of a comma-separated header, all lines of that name in order, blanks trimmed, empty
 * elements skipped. A zeroed pos begins; false at the end.
 */
struct http_list_pos {
    size_t next_header;
    struct tk_slice rest;
};
bool http_head_next_listed(const struct http_head *head, const char *name,
                           struct http_list_pos *pos, struct tk_slice *element);

/* True when a comma-separated header (all lines of that name) lists token (any case). */
bool http_head_lists(const struct http_head *head, const char *name, const char *token);
