/* SPDX-License-Identifier: MIT */
/*
 * Clients without a network: a broker with no Redis and no database, and sessions on a transport
 * that keeps what was written. Frames are compared as text.
 */
#pragma once

#include "broker/broker.h"
#include "broker/channel.h"

#define FAKE_SENT_MAX 256

struct fake_client {
    struct session *session; /* NULL once the transport is closed */
    struct broker *broker;
    bool is_blocked;
    bool is_broken;
    int close_code;            /* of the close frame that was written; 0: none */
    char *sent[FAKE_SENT_MAX]; /* payloads of frames, oldest first */
    size_t sent_lens[FAKE_SENT_MAX];
    size_t sent_count;
    size_t read;           /* fake_expect goes on from here */
    size_t writes;         /* calls, to see frames joined */
    struct tk_buf partial; /* of a message that comes in fragments */
    bool is_in_message;
    size_t fragments;
};

struct fake_broker {
    struct broker broker;
    struct broker_settings settings;
    uv_loop_t loop;
};

/* Default settings, small where tests want to reach a limit. */
void fake_broker_init(struct fake_broker *fb, const struct channel_module *const *channels);
void fake_broker_fini(struct fake_broker *fb); /* closes what clients are left */

/* A user's UUID for tests: 00000000-0000-4000-8000-<number>. */
struct tk_uuid fake_user(unsigned number);

void fake_connect(struct fake_client *c, struct fake_broker *fb, enum phx_vsn vsn, unsigned user);
void fake_drop(struct fake_client *c); /* the connection is gone */
void fake_client_fini(struct fake_client *c);

/* The client sends one complete text message, and the loop turn ends. */
void fake_send(struct fake_client *c, const char *text);
void fake_turn(struct fake_client *c);

/* The next frame must be exactly this; fake_expect_nothing: no unread frame. Fails the test if not.
 */
void fake_expect_at(struct fake_client *c, const char *text, const char *file, int line);
void fake_expect_nothing_at(struct fake_client *c, const char *file, int line);
#define fake_expect(c, text)   fake_expect_at((c), (text), __FILE__, __LINE__)
#define fake_expect_nothing(c) fake_expect_nothing_at((c), __FILE__, __LINE__)
