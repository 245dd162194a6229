/* SPDX-License-Identifier: MIT */
/*
 * From an accepted socket to a session: reads the request, asks upgrade.c what may become of it,
 * looks the user up, and hands the socket to the transport or answers. Also serves /healthz and
 * /readyz. Every socket here has a deadline and a bounded buffer; nothing that a client does costs
 * more.
 *
 * Why not in libwebsockets: the user lookup is asynchronous, and lws must decide on an upgrade
 * inside a callback.
 */
#pragma once

#include "broker/timer_wheel.h"
#include "common/tk_base.h"

struct address_use;
struct broker;
struct handshake;
struct ws_transport;

struct handshakes {
    struct broker *broker;
    struct ws_transport *transport;
    struct timer_wheel wheel;
    struct handshake *first;
    size_t count;
};

void handshakes_init(struct handshakes *hs, struct broker *b, struct ws_transport *wt);

/* Takes a non-blocking, connected socket, and its address to give back (broker->addresses). */
void handshake_start(struct handshakes *hs, int fd, struct address_use *address);

/*
 * Drain: connections that were kept after an answer are closed. Those whose first request is still
 * to come wait for it, and get 503 for an upgrade: closing them would be a reset to the client.
 */
void handshakes_drain(struct handshakes *hs);

/* Closes all at once. Their memory goes when the loop has closed its handles. */
void handshakes_abort(struct handshakes *hs);
