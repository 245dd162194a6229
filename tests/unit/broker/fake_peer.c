/* SPDX-License-Identifier: MIT */
#include "tests/unit/broker/fake_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct fake_peer_client *c = handle->data;
    *buf = uv_buf_init(tk_buf_reserve(&c->in, 65536), 65536);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct fake_peer_client *c = stream->data;
    if (n < 0) {
        fake_peer_hang_up(c);
        return;
    }
    c->in.len += (size_t)n;
    c->peer->on_data(c, c->peer->arg);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fake_peer *p = listener->data;
    tk_assert(status == 0);
    struct fake_peer_client *c = tk_xcalloc(1, sizeof(*c));
    c->peer = p;
    c->next = p->clients;
    p->clients = c;
    p->accepted++;
    uv_pipe_init(p->loop, &c->pipe, 0);
    c->pipe.data = c;
    int err = uv_accept(listener, (uv_stream_t *)&c->pipe);
    tk_assert(err == 0);
    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

void fake_peer_start(struct fake_peer *p, uv_loop_t *loop, const char *name, fake_peer_fn on_data,
                     void *arg)
{
    *p = (struct fake_peer){.loop = loop, .on_data = on_data, .arg = arg};
    snprintf(p->dir, sizeof(p->dir), "/tmp/tako-test-XXXXXX");
    char *dir = mkdtemp(p->dir);
    tk_assert(dir != NULL);
    snprintf(p->path, sizeof(p->path), "%s/%s", p->dir, name);
    uv_pipe_init(loop, &p->listener, 0);
    p->listener.data = p;
    int err = uv_pipe_bind(&p->listener, p->path);
    tk_assert(err == 0);
    err = uv_listen((uv_stream_t *)&p->listener, 16, on_connection);
    tk_assert(err == 0);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

void fake_peer_say(struct fake_peer_client *c, const void *bytes, size_t len)
{
    if (c->is_gone)
        return;
    uv_write_t *request = tk_xmalloc(sizeof(*request) + len);
    char *copy = (char *)(request + 1);
    memcpy(copy, bytes, len);
    uv_buf_t buf = uv_buf_init(copy, (unsigned)len);
    int err = uv_write(request, (uv_stream_t *)&c->pipe, &buf, 1, on_written);
    tk_assert(err == 0);
}

void fake_peer_hang_up(struct fake_peer_client *c)
{
    if (c->is_gone)
        return;
    c->is_gone = true;
    uv_close((uv_handle_t *)&c->pipe, NULL);
}

void fake_peer_stop(struct fake_peer *p)
{
    uv_close((uv_handle_t *)&p->listener, NULL); /* removes the socket's name, too */
    for (struct fake_peer_client *c = p->clients; c; c = c->next)
        fake_peer_hang_up(c);
    for (int i = 0; i < 3; i++)
        uv_run(p->loop, UV_RUN_NOWAIT);
    struct fake_peer_client *c;
    while ((c = p->clients) != NULL) {
        p->clients = c->next;
        tk_buf_fini(&c->in);
        free(c);
    }
    rmdir(p->dir);
}
