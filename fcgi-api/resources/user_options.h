/* SPDX-License-Identifier: MIT */
/* What the query of a user route asks for (H77-H82). */
#pragma once

#include "common/accounts/users.h"
#include "fcgi-api/query.h"

#define USER_PAGE_LIMIT_DEFAULT 100
#define USER_PAGE_LIMIT_MAX     1000
#define USER_PAGE_OFFSET_MAX    1000000000

/* fields[user] (H77). Absent: everything, and the answer is the whole resource. */
struct fieldset {
    bool given;
    bool nickname;
    bool stamps_collected;
};

/*
 * Routes about one user understand fields[user] and nothing else; every other parameter becomes an
 * error. False when there are any.
 */
bool user_options_read(const struct query *query, struct fieldset *fields,
                       struct jsonapi_errors *errors);

/*
 * The list also understands sort, filter and page. selection borrows from query: its nickname
 * points into it.
 */
bool user_list_options_read(const struct query *query, struct fieldset *fields,
                            struct user_selection *selection, struct jsonapi_errors *errors);
