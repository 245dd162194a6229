/* SPDX-License-Identifier: MIT */
/* The query string (H83): decoded parameters. What they mean is up to the resources. */
#pragma once

#include "common/tk_buf.h"
#include "fcgi-api/jsonapi.h"

#define QUERY_MAX_PARAMETERS 64

struct query_parameter {
    struct tk_slice name, value;
};

struct query {
    struct query_parameter parameters[QUERY_MAX_PARAMETERS];
    size_t count;
    struct tk_buf text; /* what the slices point into */
};

/* TK_EINVAL: decodes to something that is not UTF-8. TK_ELIMIT: too many. query_fini in any case.
 */
enum tk_err query_parse(struct tk_slice raw, struct query *query) TK_MUST_CHECK;
void query_fini(struct query *query);

/* A later parameter of the same name counts instead of this one (H83). */
bool query_is_overridden(const struct query *query, const struct query_parameter *parameter);

/* Cuts rest at the first separator: the part before it is returned, what is behind it stays. */
struct tk_slice query_cut(struct tk_slice *rest, char separator);

/* Decimal digits, at most max. */
bool query_parse_number(struct tk_slice text, unsigned max, unsigned *number);

/* parameter cannot be used; detail says what would be right. */
void query_refuse(struct jsonapi_errors *errors, enum jsonapi_error kind,
                  const struct query_parameter *parameter, const char *detail);

/* text as it may stand in a query, appended: brackets and the like percent-encoded (H76). */
void query_encode(struct tk_slice text, struct tk_buf *out);

/* page[limit] of the leaderboard (H86), 1..max; every other parameter is ignored there. */
void query_read_limit(const struct query *query, unsigned max, unsigned *limit,
                      struct jsonapi_errors *errors);
