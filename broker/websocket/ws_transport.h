/* SPDX-License-Identifier: MIT */
/*
 * Websocket connections on libwebsockets: adopts sockets whose upgrade request was accepted, and
 * translates lws callbacks into calls on sessions. lws does the handshake, masking, framing of what
 * comes in, and the buffer for what the kernel does not take; it has no listener and no timers
 * here.
 */
#pragma once

#include "broker/connect/upgrade.h"
#include "broker/websocket/transport.h"

struct broker;
struct ws_transport;

/* The lws context on the broker's loop. NULL when lws cannot start (logged). */
struct ws_transport *ws_transport_open(struct broker *b);

/* Every session must be closed before; runs the loop until lws has let go of its handles. */
void ws_transport_close(struct ws_transport *wt);

/*
 * Takes the connected socket fd (closed on failure, too): answers 101 and opens a session. early is
 * what the client sent right behind the request (C9). False: the socket is gone, and
 * request->address is still the caller's to give back.
 */
bool ws_transport_adopt(struct ws_transport *wt, int fd, const struct upgrade_request *request,
                        const char *nickname, struct tk_slice early);
