/* SPDX-License-Identifier: MIT */
/*
 * Sockets that libwebsockets carries, as raw connections: its loop integration, its buffer for what
 * the kernel does not take, its closing. It has no listener and no timers here.
 */
#include <libwebsockets.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "broker/websocket/sockets.h"
#include "common/tk_log.h"

#define PROTOCOL_NAME "tako"
#define READ_SIZE     ((size_t)32 * 1024) /* one buffer for all connections */

struct sockets {
    uv_loop_t *loop;
    struct lws_context *context;
    struct lws_vhost *vhost;
};

/* What lws keeps for us with a connection. */
struct lws_connection {
    struct ws_connection ws;
    struct lws *wsi;
};

static struct lws *wsi_of(struct transport *t)
{
    return tk_container_of((struct ws_connection *)t, struct lws_connection, ws)->wsi;
}

static bool lws_sockets_write(struct transport *t, struct tk_slice frames)
{
    return lws_write(wsi_of(t), (unsigned char *)frames.ptr, frames.len, LWS_WRITE_RAW) >= 0;
}

static bool lws_sockets_is_blocked(struct transport *t)
{
    return lws_partial_buffered(wsi_of(t));
}

static void lws_sockets_write_close(struct transport *t, struct tk_slice frame)
{
    (void)lws_sockets_write(t, frame); /* kept behind a partial; a broken pipe shows by itself */
}

/*
 * lws would first wait for its buffer to empty, which for a client that does not read is never: the
 * session ends here and now, and the shut socket makes lws' next write fail, which ends its
 * waiting.
 */
static void lws_sockets_kill(struct transport *t)
{
    struct ws_connection *c = (struct ws_connection *)t;
    struct lws *wsi = wsi_of(t);
    ws_connection_on_closed(c);
    shutdown(c->fd, SHUT_RDWR);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct lws_connection *c = user;
    if (!c || !c->ws.session)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX:
        return ws_connection_on_bytes(&c->ws, in, len) ? 0 : -1;
    case LWS_CALLBACK_RAW_WRITEABLE:
        ws_connection_on_writable(&c->ws);
        return 0;
    case LWS_CALLBACK_RAW_CLOSE:
        ws_connection_on_closed(&c->ws);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {
        .name = PROTOCOL_NAME,
        .callback = callback,
        .per_session_data_size = sizeof(struct lws_connection),
        .rx_buffer_size = READ_SIZE,
        .tx_packet_size = 1 << 20, /* 0 would send larger writes in pieces */
    },
    {0},
};

static void log_line(int level, const char *line)
{
    struct tk_slice text = tk_slice_str(line);
    while (text.len > 0 && text.ptr[text.len - 1] == '\n')
        text.len--;
    tk_log_debug("lws level=%d \"%s\"", level, TK_ESCAPE(text));
}

static struct sockets *lws_sockets_open(uv_loop_t *loop)
{
    static const lws_retry_bo_t no_timers = {0};
    void *loops[] = {loop};
    struct sockets *all = tk_xcalloc(1, sizeof(*all));
    all->loop = loop;
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .options = LWS_SERVER_OPTION_LIBUV,
        .foreign_loops = loops,
        .retry_and_idle_policy = &no_timers,
        .protocols = protocols,
        .pt_serv_buf_size = READ_SIZE,
        .gid = -1,
        .uid = -1,
        .vhost_name = PROTOCOL_NAME,
    };
    all->context = lws_create_context(&info);
    all->vhost = all->context ? lws_get_vhost_by_name(all->context, PROTOCOL_NAME) : NULL;
    if (all->vhost)
        return all;
    tk_log_error("libwebsockets did not start: is its libuv plugin (package "
                 "libwebsockets-evlib-uv) installed?");
    if (all->context)
        lws_context_destroy(all->context);
    free(all);
    return NULL;
}

/* With a foreign loop lws destroys in two steps: it closes its handles, then frees. */
static void lws_sockets_close(struct sockets *all)
{
    lws_context_destroy(all->context);
    for (int i = 0; i < 100 && uv_run(all->loop, UV_RUN_NOWAIT); i++)
        ;
    lws_context_destroy(all->context);
    free(all);
}

static struct ws_connection *lws_sockets_adopt(struct sockets *all, int fd)
{
    struct lws *wsi = lws_adopt_descriptor_vhost(
        all->vhost, LWS_ADOPT_SOCKET, (lws_sock_file_fd_type){.sockfd = fd}, PROTOCOL_NAME, NULL);
    struct lws_connection *c = wsi ? lws_wsi_user(wsi) : NULL;
    if (!c)
        return NULL;
    c->wsi = wsi;
    c->ws.fd = fd;
    return &c->ws;
}

const struct sockets_ops lws_sockets = {
    .name = "lws",
    .open = lws_sockets_open,
    .close = lws_sockets_close,
    .adopt = lws_sockets_adopt,
    .transport =
        {
            .write = lws_sockets_write,
            .is_blocked = lws_sockets_is_blocked,
            .write_close = lws_sockets_write_close,
            .kill = lws_sockets_kill,
        },
};
