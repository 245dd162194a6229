/* SPDX-License-Identifier: MIT */
#include "broker/health.h"

#include "broker/broker.h"

bool health_is_asked(struct tk_slice path)
{
    return tk_slice_eq_str(path, "/healthz") || tk_slice_eq_str(path, "/readyz");
}

static void write_response(struct tk_buf *out, const char *status, const char *extra,
                           bool keep_alive, const char *body, bool has_body)
{
    tk_buf_appendf(out,
                   "HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\n"
                   "Cache-Control: no-store\r\nContent-Length: %zu\r\n%s%s\r\n%s",
                   status, strlen(body), extra, keep_alive ? "" : "Connection: close\r\n",
                   has_body ? body : "");
}

void health_write_response(const struct broker *b, const struct http_head *head, bool keep_alive,
                           struct tk_buf *out)
{
    bool is_head = tk_slice_eq_str(head->method, "HEAD");
    if (!is_head && !tk_slice_eq_str(head->method, "GET")) {
        write_response(out, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", keep_alive,
                       "{\"status\":\"method not allowed\"}", true);
        return;
    }
    if (tk_slice_eq_str(head->path, "/healthz")) {
        write_response(out, "200 OK", "", keep_alive, "{\"status\":\"ok\"}", !is_head);
        return;
    }
    bool redis = redis_link_is_up(b->redis);
    bool database = user_directory_is_up(b->directory);
    bool ready = redis && database && !b->is_draining;
    struct tk_buf body = {0};
    tk_buf_appendf(&body, "{\"status\":\"%s\",\"redis\":\"%s\",\"database\":\"%s\"}",
                   b->is_draining ? "draining"
                   : ready        ? "ready"
                                  : "not ready",
                   redis ? "up" : "down", database ? "up" : "down");
    write_response(out, ready ? "200 OK" : "503 Service Unavailable",
                   ready ? "" : "Retry-After: 1\r\n", keep_alive, tk_buf_str(&body), !is_head);
    tk_buf_fini(&body);
}
