/* SPDX-License-Identifier: MIT */
/* takoctl and Redis. */
#pragma once

#include <hiredis/hiredis.h>

#include "common/accounts/users.h"
#include "common/envelope.h"
#include "common/takoctl/takoctl.h"

#define CTL_REDIS_TIMEOUT_MS 5000

/* The caller's to redisFree. NULL when there is none; the operator has been told then. */
redisContext *ctl_redis_open(const struct ctl *ctl);

/* Why a command failed: Redis's error reply, or what happened to the connection. Printable ASCII.
 */
struct ctl_redis_reason {
    char text[200];
};
const char *ctl_redis_reason(const redisContext *redis, const redisReply *reply,
                             struct ctl_redis_reason *out); /* returns out->text */

/* One message; *heard is how many listened to the channel. False: the operator has been told. */
bool ctl_publish(const struct ctl *ctl, struct tk_slice channel, struct tk_slice message,
                 long long *heard) TK_MUST_CHECK;

/* {"event":"created",...} and so on on tako:users; user is NULL for kinds without attributes. */
bool ctl_publish_user_event(const struct ctl *ctl, enum tk_user_event_kind kind,
                            const struct tk_uuid *id, const struct user *user,
                            long long *heard) TK_MUST_CHECK;
