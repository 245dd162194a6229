/* SPDX-License-Identifier: MIT */
/*
 * Which function answers which path. One table (router.c) says it all; 405, Allow and the answer to
 * OPTIONS follow from it (H20, H22, H23).
 */
#pragma once

#include "common/tk_base.h"
#include "fcgi-api/request.h"

struct exchange;

enum route_access {
    ACCESS_ANYONE,
    ACCESS_CLIENT, /* the shared token */
    ACCESS_ADMIN,
};

enum route_format {
    FORMAT_JSONAPI, /* strict negotiation, unknown query parameters refused */
    FORMAT_JSON,    /* plain JSON, loosely negotiated (H28) */
    FORMAT_FIXED,   /* one form, whatever is asked for */
    FORMAT_STATUS,  /* the same for machines that watch us: never limited */
};

struct route {
    const char *pattern; /* segments by '/'; {id} takes any one segment */
    unsigned methods;    /* of enum http_method */
    enum route_access access;
    enum route_format format;
    void (*handle)(struct exchange *exchange);
};

#define ROUTE_MAX_PATH 512 /* decoded; longer paths are unknown ones */

/* A known path: all rows with its pattern. */
struct route_match {
    const struct route *rows; /* the first; the others with this pattern follow it in the table */
    size_t count;
    unsigned methods;   /* that have a row, and OPTIONS */
    struct tk_slice id; /* what {id} stood for, decoded; empty without */
    char text[ROUTE_MAX_PATH];
};

/*
 * Path matching of H9: empty segments do not count, each segment is decoded once. False for an
 * unknown path, a malformed escape, and a decoded NUL or '/'. *match stays where it is: id points
 * into it.
 */
bool router_find(struct tk_slice path, struct route_match *match);

/* The row for method (HEAD is in the rows), or NULL. */
const struct route *router_row(const struct route_match *match, enum http_method method);

/* Does any row of the path need a token? Asked before the method is looked at (H8). */
bool router_needs_token(const struct route_match *match);

/* "GET, HEAD, PATCH", then last_separator and "OPTIONS". */
void router_write_methods(unsigned methods, const char *last_separator, struct tk_buf *out);

/* The table, for tests and descriptions. */
extern const struct route router_table[];
extern const size_t router_table_count;
