/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_base.h"

/*
 * Tells the brokers about created and updated users (envelope.h, tako:users). News only: brokers
 * that miss one are corrected by their caches' age. So nothing waits for Redis: a publish is sent
 * and its answer looked for by the next one, which waits at most a tenth of a second for it, and
 * after a failure the next ones are dropped at once for a while.
 */
struct user_events;

/* TK_EINVAL, logged, for an address that cannot be used. Does not connect. */
enum tk_err user_events_new(const char *redis_url, struct user_events **events) TK_MUST_CHECK;
void user_events_free(struct user_events *events);

/* Cannot fail; a lost event is logged, at most once a minute. */
void user_events_publish(struct user_events *events, struct tk_slice message);
