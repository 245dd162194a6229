/* SPDX-License-Identifier: MIT */
/* The API about itself, to anybody who asks (H105). */
#include "fcgi-api/api.h"
#include "fcgi-api/media_type.h"
#include "fcgi-api/resources/resources.h"

static void answer(struct exchange *x, const char *content_type, const struct tk_buf *text)
{
    struct etag etag = etag_of_bytes(tk_buf_slice(text));

    x->response->status = 200;
    x->response->content_type = content_type;
    tk_buf_append_slice(&x->response->body, tk_buf_slice(text));
    response_set_etag(x->response, x->request, &etag);
}

void open_api_resource_show(struct exchange *x)
{
    answer(x, "application/json", &x->api->description.open_api);
}

void json_schema_resource_show(struct exchange *x)
{
    answer(x, "application/schema+json", &x->api->description.json_schema);
}
