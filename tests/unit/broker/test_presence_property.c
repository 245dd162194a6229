/* SPDX-License-Identifier: MIT */
/*
 * C123: whatever happens, when messages flow again everybody agrees with the truth, and so does
 * every member's view of it; and no member is ever told something twice or of a stranger (C108).
 * Each seed is a story of joins, leaves, updates, lost, doubled, delayed and reordered deltas, cut
 * links, pauses, deaths, restarts, drains and a store that loses everything.
 *
 *   TAKO_PRESENCE_SEEDS=100000  how many stories (2000)
 *   TAKO_PRESENCE_SEED=4711     only this one, told in detail
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/broker/presence_sim.h"

/* Losses that nothing shows are looked for once a minute; what a link that breaks loses, at once.
 */
#define HEALING_AFTER_LOSSES_MS 150000
#define HEALING_MS              25000

static void act_on_member(struct sim *s, unsigned node)
{
    unsigned topic = (unsigned)sim_random(s, SIM_TOPICS);
    unsigned member = (unsigned)sim_random(s, SIM_MEMBERS);
    switch (sim_random(s, 5)) {
    case 0:
        sim_update(s, node, topic, member);
        break;
    case 1:
    case 2:
        sim_leave(s, node, topic, member);
        break;
    default:
        sim_join(s, node, topic, member, (unsigned)sim_random(s, SIM_USERS));
    }
}

static void act_on_node(struct sim *s, unsigned node)
{
    switch (sim_random(s, 12)) {
    case 0:
        sim_kill(s, node);
        break;
    case 1:
        sim_drain(s, node);
        break;
    case 2:
    case 3:
        sim_link(s, node, false);
        break;
    case 4:
    case 5:
    case 6:
        sim_link(s, node, true);
        break;
    case 7:
        sim_pause(s, node, true);
        break;
    case 8:
    case 9:
        sim_pause(s, node, false);
        break;
    default:
        sim_start(s, node);
    }
}

static void live_roughly(struct sim *s)
{
    unsigned actions = 100 + (unsigned)sim_random(s, 100);
    for (unsigned i = 0; i < actions && !s->failure; i++) {
        unsigned node = (unsigned)sim_random(s, s->node_count);
        if (sim_random(s, 8) > 0)
            act_on_member(s, node);
        else if (sim_random(s, 40) == 0)
            sim_wipe_store(s);
        else
            act_on_node(s, node);
        sim_run(s, sim_random(s, 10) == 0 ? sim_random(s, 2 * SIM_LEASE) : sim_random(s, 300));
    }
}

static void heal(struct sim *s)
{
    uint64_t healing_ms = s->is_rough ? HEALING_AFTER_LOSSES_MS : HEALING_MS;
    s->is_rough = false;
    for (unsigned i = 0; i < s->node_count; i++) {
        sim_pause(s, i, false);
        sim_link(s, i, true);
    }
    sim_run(s, healing_ms);
}

/* False: it went wrong, and was told. */
static bool tell_story(uint64_t seed, bool says_more)
{
    static const uint64_t windows[] = {0, 50, 100, 100, 250};
    struct sim s;
    sim_init(&s, seed, 1, 0); /* for its dice */
    unsigned nodes = 2 + (unsigned)sim_random(&s, SIM_NODES - 1);
    uint64_t window = windows[sim_random(&s, TK_ARRAY_LEN(windows))];
    bool is_rough = sim_random(&s, 3) > 0;
    sim_fini(&s);

    sim_init(&s, seed, nodes, window);
    s.says_more = says_more;
    s.is_rough = is_rough;
    live_roughly(&s);
    heal(&s);
    bool is_good = sim_check(&s);
    if (!is_good)
        print_error("TAKO_PRESENCE_SEED=%" PRIu64 " (%u nodes, window %" PRIu64 "): %s: %s\n", seed,
                    nodes, window, s.failure, s.detail);
    sim_fini(&s);
    return is_good;
}

static void everybody_agrees_in_the_end(void **state)
{
    const char *one = getenv("TAKO_PRESENCE_SEED"), *many = getenv("TAKO_PRESENCE_SEEDS");
    uint64_t seeds = many ? strtoull(many, NULL, 10) : 2000, failures = 0;
    if (one) {
        assert_true(tell_story(strtoull(one, NULL, 10), true));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds && failures < 10; seed++)
        failures += !tell_story(seed, false);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everybody_agrees_in_the_end)};
    return cmocka_run_group_tests_name("presence_property", tests, NULL, NULL);
}
