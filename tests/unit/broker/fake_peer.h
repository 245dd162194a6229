/* SPDX-License-Identifier: MIT */
/*
 * A server on a unix socket in a private directory, run by the test's own loop: it says what the
 * test wants said, which a real Redis or PostgreSQL would not.
 */
#pragma once

#include <uv.h>

#include "common/tk_buf.h"

struct fake_peer_client {
    struct fake_peer *peer;
    struct fake_peer_client *next;
    uv_pipe_t pipe;
    struct tk_buf in; /* what it sent and the test did not consume yet */
    int state;        /* the test's */
    bool is_gone;
};

/* A client sent something: see client->in. */
typedef void (*fake_peer_fn)(struct fake_peer_client *client, void *arg);

struct fake_peer {
    char dir[64];
    char path[108];
    uv_loop_t *loop;
    uv_pipe_t listener;
    struct fake_peer_client *clients; /* newest first; gone ones stay */
    int accepted;
    fake_peer_fn on_data;
    void *arg;
};

void fake_peer_start(struct fake_peer *p, uv_loop_t *loop, const char *name, fake_peer_fn on_data,
                     void *arg);
void fake_peer_say(struct fake_peer_client *client, const void *bytes, size_t len);
void fake_peer_hang_up(struct fake_peer_client *client);
/* Hangs up on everybody and refuses connections from now on. Runs the loop. */
void fake_peer_stop(struct fake_peer *p);
