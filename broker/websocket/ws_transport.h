/* SPDX-License-Identifier: MIT */
/*
 * Websocket connections: answers upgrade requests that were accepted, and translates what clients
 * send into calls on their sessions.
 */
#pragma once

#include "broker/connect/upgrade.h"
#include "broker/websocket/transport.h"

struct broker;
struct ws_transport;

/* Whether TAKO_TRANSPORT may have this value. */
bool ws_transport_exists(const char *name);

/* On the broker's loop. NULL when what carries its sockets cannot start (logged). */
struct ws_transport *ws_transport_open(struct broker *b);

/* Every session must be closed before; runs the loop until its handles are closed. */
void ws_transport_close(struct ws_transport *wt);

/*
 * Takes the connected socket fd (closed on failure, too): answers 101 and opens a session. early is
 * what the client sent right behind the request (C9). False: the socket is gone, and
 * request->address is still the caller's to give back.
 */
bool ws_transport_adopt(struct ws_transport *wt, int fd, const struct upgrade_request *request,
                        const char *nickname, struct tk_slice early);
