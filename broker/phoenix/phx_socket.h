/* SPDX-License-Identifier: MIT */
/*
 * The table of C41-C63: what a decoded message does on a connection, depending on whether its topic
 * is absent, joining or joined, and on its join_ref.
 */
#pragma once

#include "broker/phoenix/phx_codec.h"

struct channel;
struct session;

/* raw is the message's frame as it came; it is kept when the topic's join is still undecided (C49).
 */
void phx_socket_handle(struct session *s, const struct phx_msg *msg, bool is_binary,
                       struct tk_slice raw);

struct channel *phx_socket_find(const struct session *s, struct tk_slice topic);

/* Ends every channel without a frame (C62). */
void phx_socket_end_all(struct session *s);
