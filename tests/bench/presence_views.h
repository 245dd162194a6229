/* SPDX-License-Identifier: MIT */
/*
 * What clients know of who is in their room, made of presence_state and presence_diff as they come,
 * and clients that come and go. A view is the number of refs and a sum over their hashes, which is
 * enough to tell whether two clients know the same, however many thousands that are.
 */
#pragma once

#include "common/tk_base.h"
#include "tests/bench/clients.h"
#include "tests/bench/histogram.h"

struct presence_views;

struct churn_plan {
    uint32_t per_s; /* so many leave, and so many join, each second */
    uint64_t duration_ns;
};

struct churn_result {
    uint64_t leaves, joins;
    uint64_t diffs; /* that came to clients */
    struct histogram
        latencies; /* ns, from the push of a join to the read of its diff, all clients */
};

/* Listens to the presence messages of the clients, of which there can be count. Borrows clients. */
struct presence_views *presence_views_new(struct clients *clients, uint32_t count);
void presence_views_free(struct presence_views *v);

/* How many joined clients have a view of exactly so many refs, the same for all that are counted.
 */
uint32_t presence_views_agree(const struct presence_views *v, uint64_t refs);

/* NULL, or why it cannot be: one member leaves and the one that left before it joins again. */
const char *presence_churn_begin(struct presence_views *v, const struct churn_plan *plan);
uint64_t presence_churn_tick(struct presence_views *v, uint64_t now_ns); /* as deliveries_tick */
bool presence_churn_is_running(const struct presence_views *v);
const struct churn_result *presence_churn_result(const struct presence_views *v);
