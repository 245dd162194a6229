/* SPDX-License-Identifier: MIT */
/*
 * Sockets are libwebsockets', as raw connections: its loop integration, its buffer for what the
 * kernel does not take, its closing. The websocket protocol on them is ours (ws_parser for what
 * comes in, frame for what goes out), because lws lets pass what a server must refuse (C22), and
 * keeps twice the memory per client for it. `struct transport` is the wsi; what lws keeps per wsi
 * is struct connection.
 */
#include "broker/websocket/ws_transport.h"

#include <libwebsockets.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/websocket/ws_parser.h"
#include "common/tk_log.h"

#define PROTOCOL_NAME  "tako"
#define READ_SIZE      ((size_t)32 * 1024)                    /* one buffer for all connections */
#define HANDSHAKE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */

struct ws_transport {
    struct broker *broker;
    struct lws_context *context;
    struct lws_vhost *vhost;
    EVP_MD *sha1; /* NULL until the first client, see get_sha1 */
};

struct connection {
    struct session *session;
    struct ws_parser parser;
    bool is_deaf; /* the client broke the protocol or said its last word */
};

static bool transport_write(struct transport *t, struct tk_slice frames)
{
    return lws_write((struct lws *)t, (unsigned char *)frames.ptr, frames.len, LWS_WRITE_RAW) >= 0;
}

static bool transport_is_blocked(struct transport *t)
{
    return lws_partial_buffered((struct lws *)t);
}

static void end_session(struct connection *c)
{
    struct session *s = c->session;
    c->session = NULL;
    ws_parser_fini(&c->parser);
    session_on_closed(s);
}

/*
 * lws would first wait for its buffer to empty, which for a client that does not read is never: the
 * session ends here and now, and the shut socket makes lws' next write fail, which ends its
 * waiting.
 */
static void transport_kill(struct transport *t)
{
    struct lws *wsi = (struct lws *)t;
    int fd = lws_get_socket_fd(wsi);
    end_session(lws_wsi_user(wsi));
    shutdown(fd, SHUT_RDWR);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void transport_write_close(struct transport *t, struct tk_slice frame)
{
    (void)transport_write(t,
                          frame); /* lws keeps it behind a partial; a broken pipe shows by itself */
}

static const struct transport_ops lws_ops = {
    .write = transport_write,
    .is_blocked = transport_is_blocked,
    .write_close = transport_write_close,
    .kill = transport_kill,
};

/*
 * After a violation the client's close frame cannot be told from what else it sends. Clients wait
 * for the end of the stream behind our close frame, so they get it without having been understood.
 */
static void half_close(struct transport *t)
{
    if (!transport_is_blocked(t))
        shutdown(lws_get_socket_fd((struct lws *)t), SHUT_WR);
}

/* False: the connection is at its end and is to be closed. */
static bool handle_piece(struct connection *c, const struct ws_piece *piece)
{
    struct session *s = c->session;
    switch (piece->kind) {
    case WS_PIECE_DATA:
        session_on_data(s, &(struct session_data){
                               .bytes = piece->bytes,
                               .is_first = piece->is_first,
                               .is_final = piece->is_final,
                               .is_binary = piece->is_binary,
                               .remaining = piece->remaining,
                           });
        return true;
    case WS_PIECE_PING:
        session_on_ping(s, piece->bytes);
        return true;
    case WS_PIECE_CLOSE:
        c->is_deaf = true;
        session_on_peer_close(s, piece->close_code); /* or it answers a close frame of ours */
        return transport_is_blocked(s->transport);
    case WS_PIECE_ERROR:
        c->is_deaf = true;
        session_close(s, piece->close_code, piece->error);
        half_close(s->transport);
        return true;
    case WS_PIECE_PONG:
    case WS_PIECE_NONE:
        break;
    }
    return true;
}

static bool receive(struct connection *c, char *input, size_t len)
{
    session_on_life(c->session);
    while (!c->is_deaf) {
        struct ws_piece piece = ws_parser_next(&c->parser, &input, &len);
        if (piece.kind == WS_PIECE_NONE && len == 0)
            return true;
        if (!handle_piece(c, &piece))
            return false;
    }
    return true;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct connection *c = user;
    if (!c || !c->session)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX:
        return receive(c, in, len) ? 0 : -1;
    case LWS_CALLBACK_RAW_WRITEABLE:
        session_on_writable(c->session);
        return 0;
    case LWS_CALLBACK_RAW_CLOSE:
        end_session(c);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {
        .name = PROTOCOL_NAME,
        .callback = callback,
        .per_session_data_size = sizeof(struct connection),
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

struct ws_transport *ws_transport_open(struct broker *b)
{
    static const lws_retry_bo_t no_timers = {0};
    void *loops[] = {b->loop};
    struct ws_transport *wt = tk_xcalloc(1, sizeof(*wt));
    wt->broker = b;
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
    wt->context = lws_create_context(&info);
    wt->vhost = wt->context ? lws_get_vhost_by_name(wt->context, PROTOCOL_NAME) : NULL;
    if (wt->vhost)
        return wt;
    tk_log_error("libwebsockets did not start: is its libuv plugin (package "
                 "libwebsockets-evlib-uv) installed?");
    if (wt->context)
        lws_context_destroy(wt->context);
    EVP_MD_free(wt->sha1);
    free(wt);
    return NULL;
}

void ws_transport_close(struct ws_transport *wt)
{
    /* With a foreign loop lws destroys in two steps: it closes its handles, then frees. */
    lws_context_destroy(wt->context);
    for (int i = 0; i < 100 && uv_run(wt->broker->loop, UV_RUN_NOWAIT); i++)
        ;
    lws_context_destroy(wt->context);
    EVP_MD_free(wt->sha1);
    free(wt);
}

/*
 * Looked up once, because that costs more than the digest; and not before it is needed, because it
 * maps 2 MB of OpenSSL into a worker that may be idle.
 */
static const EVP_MD *get_sha1(struct ws_transport *wt)
{
    if (!wt->sha1)
        wt->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    tk_assert(wt->sha1);
    return wt->sha1;
}

/* RFC 6455, 4.2.2. The key was checked to be short (upgrade.c). */
static void write_accept(struct tk_buf *out, const EVP_MD *sha1, struct tk_slice key)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char text[EVP_MAX_MD_SIZE * 2];
    unsigned len = 0;
    struct tk_buf input = {0};
    tk_buf_append_slice(&input, key);
    tk_buf_append_str(&input, HANDSHAKE_GUID);
    int ok = EVP_Digest(input.data, input.len, digest, &len, sha1, NULL);
    tk_assert(ok);
    EVP_EncodeBlock(text, digest, (int)len);
    tk_buf_append_str(out, (const char *)text);
    tk_buf_fini(&input);
}

/* The first bytes on a connection that has sent nothing yet: the kernel takes them whole or not at
 * all. */
static bool send_switching_protocols(struct ws_transport *wt, int fd,
                                     const struct upgrade_request *request)
{
    struct tk_buf response = {0};
    tk_buf_append_str(&response, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\nSec-WebSocket-Accept: ");
    write_accept(&response, get_sha1(wt), request->key);
    tk_buf_append_str(&response, request->offers_phoenix_protocol
                                     ? "\r\nSec-WebSocket-Protocol: phoenix\r\n\r\n"
                                     : "\r\n\r\n");
    ssize_t sent = send(fd, response.data, response.len, MSG_NOSIGNAL);
    bool ok = sent == (ssize_t)response.len;
    tk_buf_fini(&response);
    return ok;
}

bool ws_transport_adopt(struct ws_transport *wt, int fd, const struct upgrade_request *request,
                        const char *nickname, struct tk_slice early)
{
    if (!send_switching_protocols(wt, fd, request)) {
        close(fd);
        return false;
    }
    struct lws *wsi = lws_adopt_descriptor_vhost(
        wt->vhost, LWS_ADOPT_SOCKET, (lws_sock_file_fd_type){.sockfd = fd}, PROTOCOL_NAME, NULL);
    struct connection *c = wsi ? lws_wsi_user(wsi) : NULL;
    if (!c)
        return false;
    c->session = session_open(wt->broker, request->vsn, &request->user, nickname, &lws_ops,
                              (struct transport *)wsi);
    c->session->address = request->address;
    struct tk_buf input = {0};
    tk_buf_append_slice(&input, early); /* a copy: receiving unmasks in place */
    if (early.len > 0 && !receive(c, input.data, input.len))
        transport_kill((struct transport *)wsi);
    tk_buf_fini(&input);
    return true;
}
