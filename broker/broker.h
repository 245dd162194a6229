/* SPDX-License-Identifier: MIT */
/*
 * One worker's world, handed down to everything in it: there are no globals, and two brokers can
 * live in one process (tests do that). Single-threaded: everything here belongs to the loop's
 * thread.
 */
#pragma once

#include <uv.h>

#include "broker/connect/address_limit.h"
#include "broker/node.h"
#include "broker/presence/presence_store.h"
#include "broker/pubsub.h"
#include "broker/redis/redis_link.h"
#include "broker/session.h"
#include "broker/settings.h"
#include "broker/timer_wheel.h"
#include "broker/topic.h"
#include "broker/users/online_users.h"
#include "broker/users/user_directory.h"
#include "common/tk_buf.h"

struct broker_stats {
    uint64_t connects;          /* sockets opened since start */
    uint64_t refused;           /* upgrades answered with anything but 101 */
    uint64_t messages_in;       /* messages of clients */
    uint64_t deliveries;        /* frames queued for clients by broadcasts */
    uint64_t refused_address;   /* connections refused because their address has too many */
    uint64_t accept_pauses;     /* times that new connections had to wait (C166) */
    uint64_t too_slow;          /* clients closed because their budget was used up (C169) */
    uint64_t too_many_messages; /* clients closed because they sent too often (C185) */
    uint64_t too_many_joins;    /* joins refused because of the client's rate (C185) */
    uint64_t join_timeouts;     /* joins refused because Redis did not answer for them (C173) */
    uint64_t malformed;         /* clients closed because of a malformed message (C30) */
    uint64_t link_malformed;    /* messages on the Redis link that were dropped (C174) */
    uint64_t unpublished;   /* broadcasts that other brokers did not get: Redis away or too slow */
    size_t handshakes_peak; /* connections that were no websockets yet, at a time */
    uint32_t queue_peak;    /* bytes: the most that ever waited for one client */
    uint64_t no_encoding;   /* deliveries skipped: binary payload to V1 (C34) */
};

#define BROKER_JOINED_WRITE (64 * 1024) /* one write per connection and turn, up to this */

struct broker {
    const struct broker_settings *settings;
    const struct channel_module *const
        *channels; /* topic patterns in order (C45); NULL-terminated */
    uv_loop_t *loop;
    uint64_t now_ms;          /* the loop's clock, a tick old at most; tests set it */
    struct timer_wheel wheel; /* one timer per session */
    struct session_list sessions;
    struct topic_table topics;
    struct online_users users;
    struct address_limit addresses;  /* of handshakes and sessions */
    struct channel *failed_channels; /* crash at the end of the turn */
    struct pubsub pubsub;
    struct node node;
    struct presence_store presence;
    struct redis_link *redis;         /* NULL in unit tests: no other brokers */
    struct user_directory *directory; /* NULL in unit tests */
    struct tk_buf decode_scratch;
    struct tk_buf encode_scratch;
    struct broker_stats stats;
    struct tk_log_limit no_addressee_log;
    struct tk_log_limit crash_log;
    bool is_draining;
    char
        joined[BROKER_JOINED_WRITE]; /* scratch for frames of one connection that go out together */
};

/* The parts that need no network. settings and channels are borrowed. */
void broker_init(struct broker *b, uv_loop_t *loop, const struct broker_settings *settings,
                 const struct channel_module *const *channels);

/* Every session must be gone. Does not close redis and directory: they are their opener's. */
void broker_fini(struct broker *b);

/*
 * The end of a loop turn: what was only marked during the turn happens here, and frames that wait
 * go out. Nothing that this touches may be in use further up the stack.
 */
void broker_end_turn(struct broker *b);
