/* SPDX-License-Identifier: MIT */
/*
 * What carries the bytes of websocket connections: there are two, and TAKO_TRANSPORT says which a
 * worker uses. epoll_sockets.c (the default) keeps 72 bytes per connection, lws_sockets.c is
 * libwebsockets with some 1,100. The protocol on top is the same (ws_transport).
 */
#pragma once

#include <uv.h>

#include "broker/websocket/transport.h"
#include "broker/websocket/ws_parser.h"

struct session;
struct sockets; /* those of one worker */

/* One connection; what carries it keeps its own things behind this. */
struct ws_connection {
    struct session *session; /* NULL before ws_connection_open and once the connection has ended */
    struct ws_parser parser;
    int fd;
    bool is_deaf; /* the client broke the protocol or said its last word */
};

struct sockets_ops {
    const char *name;
    struct sockets *(*open)(uv_loop_t *loop); /* NULL: it cannot start (logged) */
    /* Every connection has ended before. Runs the loop until it has let go of what is watched. */
    void (*close)(struct sockets *all);
    /*
     * From now on fd is watched, and closed in the end. NULL: it is closed already. Nothing is
     * called back before this has returned.
     */
    struct ws_connection *(*adopt)(struct sockets *all, int fd);
    struct transport_ops transport; /* struct transport is the ws_connection */
};

extern const struct sockets_ops epoll_sockets, lws_sockets;

/*
 * For those who carry: bytes have come (modified in place; false: the connection is to be ended);
 * it can be written to again after is_blocked; it has gone, told once and whoever ended it.
 */
bool ws_connection_on_bytes(struct ws_connection *c, char *bytes, size_t len) TK_MUST_CHECK;
void ws_connection_on_writable(struct ws_connection *c);
void ws_connection_on_closed(struct ws_connection *c);
