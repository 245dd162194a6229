/* SPDX-License-Identifier: MIT */
/*
 * For machines that watch us (H106): alive, able to serve, and what was counted. Nothing here is
 * secret, but a web server may well keep the counts to itself.
 */
#include "fcgi-api/api.h"
#include "fcgi-api/media_type.h"
#include "fcgi-api/resources/resources.h"

static void answer_ok(struct exchange *x)
{
    x->response->status = 200;
    x->response->content_type = MEDIA_JSON;
    tk_buf_append_str(&x->response->body, "{\"status\":\"ok\"}");
}

void health_resource_live(struct exchange *x)
{
    answer_ok(x);
}

void health_resource_ready(struct exchange *x)
{
    enum tk_err err = users_ping(x->api->db);

    if (err)
        exchange_fail(x, err);
    else
        answer_ok(x);
}

void metrics_resource_show(struct exchange *x)
{
    x->response->status = 200;
    x->response->content_type = METRICS_CONTENT_TYPE;
    metrics_write(x->api->metrics, &x->response->body);
}
