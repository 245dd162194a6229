/* SPDX-License-Identifier: MIT */
/*
 * The websocket protocol, whatever carries its bytes (sockets.h): ws_parser for what comes in,
 * frame for what goes out. lws has one too, but lets pass what a server must refuse (C22), and
 * keeps twice the memory per client for it.
 */
#include "broker/websocket/ws_transport.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/websocket/sockets.h"

#define HANDSHAKE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */

struct ws_transport {
    struct broker *broker;
    const struct sockets_ops *ops;
    struct sockets *sockets;
    EVP_MD *sha1; /* NULL until the first client, see get_sha1 */
};

static const struct sockets_ops *const all_sockets[] = {&epoll_sockets, &lws_sockets};

static const struct sockets_ops *find_sockets(const char *name)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(all_sockets); i++) {
        if (strcmp(all_sockets[i]->name, name) == 0)
            return all_sockets[i];
    }
    return NULL;
}

bool ws_transport_exists(const char *name)
{
    return find_sockets(name);
}

static bool is_blocked(const struct session *s)
{
    return s->ops->is_blocked(s->transport);
}

/*
 * After a violation the client's close frame cannot be told from what else it sends. Clients wait
 * for the end of the stream behind our close frame, so they get it without having been understood.
 */
static void half_close(struct ws_connection *c)
{
    if (!is_blocked(c->session))
        shutdown(c->fd, SHUT_WR);
}

/* False: the connection is at its end and is to be closed. */
static bool handle_piece(struct ws_connection *c, const struct ws_piece *piece)
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
        return is_blocked(s);
    case WS_PIECE_ERROR:
        c->is_deaf = true;
        session_close(s, piece->close_code, piece->error);
        half_close(c);
        return true;
    case WS_PIECE_PONG:
    case WS_PIECE_NONE:
        break;
    }
    return true;
}

bool ws_connection_on_bytes(struct ws_connection *c, char *bytes, size_t len)
{
    session_on_life(c->session);
    while (!c->is_deaf) {
        struct ws_piece piece = ws_parser_next(&c->parser, &bytes, &len);
        if (piece.kind == WS_PIECE_NONE && len == 0)
            return true;
        if (!handle_piece(c, &piece))
            return false;
    }
    return true;
}

void ws_connection_on_writable(struct ws_connection *c)
{
    session_on_writable(c->session);
}

void ws_connection_on_closed(struct ws_connection *c)
{
    struct session *s = c->session;
    c->session = NULL;
    ws_parser_fini(&c->parser);
    session_on_closed(s);
}

struct ws_transport *ws_transport_open(struct broker *b)
{
    const struct sockets_ops *ops = find_sockets(b->settings->transport);
    struct sockets *sockets = ops->open(b->loop);
    if (!sockets)
        return NULL;
    struct ws_transport *wt = tk_xcalloc(1, sizeof(*wt));
    *wt = (struct ws_transport){.broker = b, .ops = ops, .sockets = sockets};
    return wt;
}

void ws_transport_close(struct ws_transport *wt)
{
    wt->ops->close(wt->sockets);
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
    struct ws_connection *c = wt->ops->adopt(wt->sockets, fd);
    if (!c)
        return false;
    struct transport *transport = (struct transport *)c;
    c->session = session_open(wt->broker, request->vsn, &request->user, nickname,
                              &wt->ops->transport, transport);
    c->session->address = request->address;
    struct tk_buf input = {0};
    tk_buf_append_slice(&input, early); /* a copy: receiving unmasks in place */
    if (early.len > 0 && !ws_connection_on_bytes(c, input.data, input.len))
        wt->ops->transport.kill(transport);
    tk_buf_fini(&input);
    return true;
}
