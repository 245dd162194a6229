/* SPDX-License-Identifier: MIT */
/*
 * The channels somebody here wants to hear, and how far Redis knows: what redis_link says and hears
 * on its subscribed connection, without the connection. Changes are queued and written in batches;
 * a channel that changes its mind before that costs nothing.
 */
#pragma once

#include "common/tk_base.h"
#include "common/tk_buf.h"
#include "common/tk_map.h"

struct redis_subscription;

struct redis_subscriptions {
    struct tk_map map;                       /* wanted, or known to Redis, or both */
    struct redis_subscription *first, *last; /* have something to say */
    size_t unconfirmed;                      /* changes Redis has not confirmed yet */
    size_t restoring; /* of the channels wanted when the connection came up */
};

void redis_subscriptions_init(struct redis_subscriptions *subs);
void redis_subscriptions_fini(struct redis_subscriptions *subs);

/* Asks again for a channel that is wanted already: its confirmation then comes again. */
void redis_subscriptions_add(struct redis_subscriptions *subs, struct tk_slice channel);
void redis_subscriptions_remove(struct redis_subscriptions *subs, struct tk_slice channel);

/* The connection is new, or gone: Redis knows nothing any more, all that is wanted is asked again.
 */
void redis_subscriptions_restart(struct redis_subscriptions *subs);

/*
 * Appends commands for what is queued, as much as may be unconfirmed at a time: call again after
 * confirmations. That limit keeps Redis' output for us, which it answers with, far below the
 * 8 MB/32 MB at which it drops subscribers.
 */
void redis_subscriptions_write(struct redis_subscriptions *subs, struct tk_buf *out);

/*
 * Redis confirmed the oldest open change of channel. True when that makes a wanted channel
 * subscribed for good: nothing said later about it is still under way (SUBSCRIBE, UNSUBSCRIBE and
 * SUBSCRIBE of one channel may be in flight together).
 */
bool redis_subscriptions_confirm(struct redis_subscriptions *subs, struct tk_slice channel);

/* Everything that was wanted at redis_subscriptions_restart is subscribed again. */
bool redis_subscriptions_are_restored(const struct redis_subscriptions *subs);
