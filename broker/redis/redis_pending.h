/* SPDX-License-Identifier: MIT */
#pragma once

#include "broker/redis/redis_link.h"

/*
 * Who waits for which reply on the command connection, in the order of the commands. Replies that
 * nobody waits for are counted rather than listed: publishes come by the thousand.
 * Zero-initialised is empty.
 */
struct redis_pending {
    struct redis_waiter *items; /* ring */
    uint32_t head, count, cap;
};

#define REDIS_PENDING_MAX 65536 /* entries; a run of unawaited replies is one */

void redis_pending_fini(struct redis_pending *p);

/* False: so many more entries would be too many. */
bool redis_pending_has_room(const struct redis_pending *p, uint32_t entries);

/* TK_ELIMIT when too many replies are awaited. fn NULL: nobody waits for this one. */
enum tk_err redis_pending_push(struct redis_pending *p, redis_reply_fn fn, void *arg) TK_MUST_CHECK;

/* Takes the oldest. False when no reply is due. */
bool redis_pending_pop(struct redis_pending *p, redis_reply_fn *fn, void **arg);
