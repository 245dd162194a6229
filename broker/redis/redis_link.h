/* SPDX-License-Identifier: MIT */
/*
 * The broker's two connections to Redis (commands and subscriptions) on the libuv loop: connect,
 * reconnect with backoff and jitter, resubscribe, notice a dead peer by a probe published to
 * itself. It only translates; what messages mean is decided in pubsub, users and node.
 *
 * Built on hiredis' redisContext in non-blocking mode and its reader rather than on hiredis' async
 * layer: that one loses a subscription when SUBSCRIBE, UNSUBSCRIBE, SUBSCRIBE of one channel are in
 * flight together, and does not tell when one socket read has been handled completely.
 *
 * Nothing is sent at once: publishes, commands and subscriptions of a turn are appended and leave
 * in one write per connection, in redis_link_flush.
 */
#pragma once

#include <uv.h>

#include "common/tk_base.h"
#include "common/tk_buf.h"
#include "common/tk_url.h"

struct redis_link;

/* All of them come from the loop, never before the call that caused them returned. */
struct redis_link_events {
    /* Both connections are usable and everything asked for so far is subscribed again. */
    void (*on_up)(void *arg);
    /*
     * After on_up: one of the connections is gone, so both were given up; a reconnect is already
     * planned. Commands in flight got their callback.
     */
    void (*on_down)(void *arg);
    /* May still come for a channel that was unsubscribed a moment ago. */
    void (*on_message)(void *arg, struct tk_slice channel, struct tk_slice message);
    /* Redis confirmed a subscription asked for by redis_link_subscribe. */
    void (*on_subscribed)(void *arg, struct tk_slice channel);
};

struct redis_link_options {
    const struct tk_redis_address *address; /* borrowed until close; host names block, see below */
    const char *node_id;                    /* for the probe channel; borrowed */
    int connect_timeout_ms;
    int probe_interval_ms;    /* 1000 */
    int probe_timeout_ms;     /* 3000: no probe for that long means down */
    size_t max_pending_bytes; /* unsent output; past it commands get TK_ELIMIT */
    size_t max_reply_bytes;   /* a longer message or reply drops the connections; 0: 64 MB */
};

/*
 * Starts connecting. No event runs before this returns. A host name is resolved synchronously at
 * every attempt, which holds the loop: use an address or a unix socket where that matters.
 */
struct redis_link *redis_link_open(uv_loop_t *loop, const struct redis_link_options *options,
                                   const struct redis_link_events *events, void *arg);

/*
 * Sends what the sockets take, then closes both connections; no event afterwards. Commands in
 * flight get their callback (NULL) before this returns. The memory goes when libuv has closed its
 * handles. NULL is fine.
 */
void redis_link_close(struct redis_link *link);

/* Connected, subscribed, and the last probe came back in time. */
bool redis_link_is_up(const struct redis_link *link);

/*
 * Sends what was asked for since the last call. The owner calls it once per loop turn, after its
 * timers and before the loop blocks (a uv_prepare handle): reconnecting needs it too. Cheap when
 * there is nothing to send; calls nothing back.
 */
void redis_link_flush(struct redis_link *link);

/*
 * TK_EUNAVAIL while down (nothing is queued for later: at most once, C68), TK_ELIMIT when it is
 * slow: bytes are waiting and these would exceed max_pending_bytes.
 */
enum tk_err redis_link_publish(struct redis_link *link, struct tk_slice channel,
                               struct tk_slice message) TK_MUST_CHECK;

/*
 * Remembered across reconnects until unsubscribed. While up on_subscribed follows, once for calls
 * that come before it, never before returning; after a reconnect it follows again for every
 * channel, before on_up.
 */
void redis_link_subscribe(struct redis_link *link, struct tk_slice channel);
void redis_link_unsubscribe(struct redis_link *link, struct tk_slice channel);

/*
 * A command on the command connection; its words are copied. reply belongs to the link; it may
 * be an error of Redis, and is NULL when the connection was lost before the answer came. fn may be
 * NULL. TK_EUNAVAIL and TK_ELIMIT as for redis_link_publish.
 */
struct redisReply;
typedef void (*redis_reply_fn)(void *arg, const struct redisReply *reply);
enum tk_err redis_link_command(struct redis_link *link, redis_reply_fn fn, void *arg,
                               const struct tk_slice *words, size_t count) TK_MUST_CHECK;

/*
 * Commands that are done together or not at all (MULTI, EXEC). Zero-initialised is empty; each
 * command is begun with the number of its words, and then given exactly so many.
 */
struct redis_batch {
    struct tk_buf wire;
    uint32_t commands;
};
void redis_batch_command(struct redis_batch *batch, size_t words);
void redis_batch_word(struct redis_batch *batch, struct tk_slice word);
void redis_batch_clear(struct redis_batch *batch); /* keeps the memory */
void redis_batch_fini(struct redis_batch *batch);

/* As redis_link_command, the batch being copied. reply is what Redis answers to EXEC. */
enum tk_err redis_link_transaction(struct redis_link *link, redis_reply_fn fn, void *arg,
                                   const struct redis_batch *batch) TK_MUST_CHECK;

struct redis_link_stats {
    uint64_t published;  /* handed to Redis */
    uint64_t received;   /* messages, without probes */
    uint64_t reconnects; /* times it came up again */
    uint64_t dropped;    /* publishes that were refused, here or by Redis */
    size_t peak_unsent;  /* bytes: the most that ever waited for Redis to read */
};
const struct redis_link_stats *redis_link_stats(const struct redis_link *link);
