/* SPDX-License-Identifier: MIT */
/* Any bytes as a query, and as an Origin. */
#include <stdlib.h>

#include "broker/connect/upgrade.h"
#include "common/tk_json.h"

static void check_query(struct tk_slice query)
{
    static const char *const keys[] = {"userToken", "vsn", "a", ""};
    bool is_utf8 = query_is_utf8(query);
    for (size_t i = 0; i < TK_ARRAY_LEN(keys); i++) {
        struct tk_buf value = {0};
        enum tk_err err = query_find(query, keys[i], &value);
        tk_assert(err == TK_OK || err == TK_ENOTFOUND || err == TK_EINVAL);
        tk_assert(err == TK_OK || value.len == 0);
        tk_assert(value.len <= query.len);
        tk_assert(!is_utf8 || tk_utf8_valid(tk_buf_slice(&value)));
        tk_buf_fini(&value);
    }
}

/* A wildcard allows whatever its own host allows. */
static void check_origin(struct tk_slice origin)
{
    static char *exact_items[] = {(char *)"//netlify.app"},
                *below_items[] = {(char *)"//*.netlify.app"};
    static const struct tk_string_list exact = {exact_items, 1}, below = {below_items, 1};
    tk_assert(!origin_is_allowed(origin, &exact) || origin_is_allowed(origin, &below));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tk_slice bytes = tk_slice((const char *)data, size);
    check_query(bytes);
    check_origin(bytes);
    return 0;
}
