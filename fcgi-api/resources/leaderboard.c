/* SPDX-License-Identifier: MIT */
/*
 * The leaderboard (H84-H88): a flat list, no ids ever. Written straight into the answer: a thousand
 * rows need no tree.
 */
#include <inttypes.h>

#include "common/tk_json.h"
#include "fcgi-api/api.h"
#include "fcgi-api/etag.h"
#include "fcgi-api/media_type.h"
#include "fcgi-api/resources/resources.h"

#define HEAD "{\"data\":["

static void write_row(void *arg, struct tk_slice nickname, int64_t stamps)
{
    struct tk_buf *body = arg;

    if (body->len > strlen(HEAD))
        tk_buf_append_char(body, ',');
    tk_buf_append_str(body, "{\"nickname\":");
    tk_json_write_string(body, nickname);
    tk_buf_appendf(body, ",\"stamps_collected\":%" PRId64 "}", stamps);
}

void leaderboard_resource_show(struct exchange *x)
{
    unsigned limit = (unsigned)x->api->settings->leaderboard_max;
    struct tk_buf *body = &x->response->body;

    query_read_limit(&x->query, limit, &limit, &x->errors);
    if (x->errors.status != 0)
        return;
    tk_buf_append_str(body, HEAD);
    enum tk_err err = users_leaderboard(x->api->db, limit, write_row, body);
    if (err) {
        exchange_fail(x, err);
        return;
    }
    tk_buf_append_str(body, "]}");
    x->response->status = 200;
    x->response->content_type = MEDIA_JSON;
    struct etag etag = etag_of_bytes(tk_buf_slice(body));
    response_set_etag(x->response, x->request, &etag);
}
