/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the query of the routes about users and of the leaderboard. What a route understands
 * lies within its limits, what it does not becomes errors, and a name or value that is encoded for
 * a link reads back the same.
 */
#include <stdlib.h>

#include "common/tk_json.h"
#include "fcgi-api/resources/user_options.h"

static void check_encoding(struct tk_slice text)
{
    struct tk_buf link = {0};
    struct query again;

    tk_buf_append_str(&link, "a=");
    query_encode(text, &link);
    tk_assert(query_parse(tk_buf_slice(&link), &again) == TK_OK && again.count == 1);
    tk_assert(tk_slice_eq(again.parameters[0].value, text));
    query_fini(&again);
    tk_buf_fini(&link);
}

static void check_parameters(const struct query *query, size_t size)
{
    tk_assert(query->count <= QUERY_MAX_PARAMETERS && query->text.len <= size);
    for (size_t i = 0; i < query->count; i++) {
        const struct query_parameter *parameter = &query->parameters[i];
        tk_assert(tk_utf8_valid(parameter->name) && tk_utf8_valid(parameter->value));
        check_encoding(parameter->name);
        check_encoding(parameter->value);
    }
}

static void check_selection(const struct user_selection *selection)
{
    bool seen[USER_COLUMN_COUNT] = {false};

    tk_assert(selection->limit >= 1 && selection->limit <= USER_PAGE_LIMIT_MAX);
    tk_assert(selection->offset <= USER_PAGE_OFFSET_MAX);
    tk_assert(selection->sort_count <= USER_COLUMN_COUNT);
    for (size_t i = 0; i < selection->sort_count; i++) {
        tk_assert(!seen[selection->sort[i].column]);
        seen[selection->sort[i].column] = true;
    }
    if (selection->filter[USER_COLUMN_NICKNAME])
        tk_assert(memchr(selection->nickname.ptr, '\0', selection->nickname.len) == NULL);
}

static void check_routes(const struct query *query)
{
    struct jsonapi_errors one = {0}, list = {0}, board = {0};
    struct fieldset fields;
    struct user_selection selection;
    unsigned limit = 1000;

    tk_assert(user_options_read(query, &fields, &one) == (one.status == 0));
    tk_assert(user_list_options_read(query, &fields, &selection, &list) == (list.status == 0));
    if (list.status == 0)
        check_selection(&selection);
    tk_assert(one.status != 0 || list.status == 0); /* a list understands all that a user does */
    query_read_limit(query, 1000, &limit, &board);
    tk_assert(limit >= 1 && limit <= 1000);
    jsonapi_errors_fini(&one);
    jsonapi_errors_fini(&list);
    jsonapi_errors_fini(&board);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct query query;

    if (query_parse(tk_slice((const char *)data, size), &query) == TK_OK) {
        check_parameters(&query, size);
        check_routes(&query);
    }
    query_fini(&query);
    return 0;
}
