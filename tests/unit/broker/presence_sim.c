/* SPDX-License-Identifier: MIT */
/* The clock: what is due happens. */
#include "tests/unit/broker/presence_sim_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const sim_topic_names[SIM_TOPICS] = {"room:a", "room:b", "room:c"};

void sim_fail(struct sim *s, const char *what, const char *fmt, ...)
{
    va_list args;
    if (s->failure)
        return;
    s->failure = what;
    va_start(args, fmt);
    vsnprintf(s->detail, sizeof(s->detail), fmt, args);
    va_end(args);
}

void sim_say(const struct sim *s, const char *fmt, ...)
{
    va_list args;
    if (!s->says_more)
        return;
    fprintf(stderr, "%8" PRIu64 " ", s->now);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

uint64_t sim_random(struct sim *s, uint64_t below)
{
    s->random += 0x9e3779b97f4a7c15; /* splitmix64 */
    uint64_t z = s->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % below;
}

unsigned sim_topic_index(struct tk_slice name)
{
    for (unsigned i = 0; i < SIM_TOPICS; i++)
        if (tk_slice_eq_str(name, sim_topic_names[i]))
            return i;
    tk_assert(!"a topic of the test");
    return 0;
}

/* Cuts the next line off. */
bool sim_next_line(const char **text, struct tk_slice *line)
{
    const char *end = *text ? strchr(*text, '\n') : NULL;
    if (!end)
        return false;
    *line = tk_slice(*text, (size_t)(end - *text));
    *text = end + 1;
    return true;
}

void sim_node_name(char out[32], unsigned index, unsigned incarnation)
{
    snprintf(out, 32, "n%u/0@%u", index, incarnation);
}

static void execute(struct sim *s, const struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    if (e->kind == EVENT_WRITE) {
        sim_store_write(s, e); /* what was sent is executed, whatever became of the sender */
    } else if (e->kind == EVENT_FORGET) {
        sim_store_forget(s, e);
    } else if (!sim_is_current(s, e)) {
        return;
    } else if (e->kind == EVENT_CHECK) {
        sim_store_check(s, e);
    } else if (e->kind == EVENT_READ_SEQS) {
        sim_store_read_seqs(s, e);
    } else if (e->kind == EVENT_READ_PART) {
        sim_store_read_part(s, e);
    } else if (e->kind == EVENT_SUBSCRIBE) {
        n->rooms[e->topic].is_subscribed = n->rooms[e->topic].t != NULL;
        n->heard_until = sim_max(n->heard_until, s->now);
        sim_answer(s, e, EVENT_SUBSCRIBED, NULL);
    } else if (n->is_paused) {
        sim_node_keep_unread(n, e);
    } else {
        sim_node_hear(n, e);
    }
}

/*
 * Time
 */

static void run_node(struct sim_node *n)
{
    struct sim *s = n->sim;
    if (!n->is_alive || n->is_paused)
        return;
    presence_tick(&n->presence, s->now);
    for (unsigned r = 0; r < SIM_TOPICS; r++)
        for (unsigned i = 0; i < SIM_MEMBERS; i++) {
            struct sim_room *room = &n->rooms[r];
            if (room->t && room->members[i].is_used && !room->members[i].is_joined &&
                presence_is_ready(room->t))
                sim_node_admit(n, room, &room->members[i]);
        }
    if (!n->is_linked)
        return;
    if (n->lease_until <= s->now && n->lease_until != 0) {
        sim_say(s, "n%u lost its lease", n->index);
        presence_on_lease_lost(&n->presence);
    }
    n->lease_until = s->now + SIM_LEASE;
    n->lease_floor = n->presence.floor;
}

void sim_run(struct sim *s, uint64_t ms)
{
    uint64_t end = s->now + ms;
    while (s->now < end && !s->failure) {
        uint64_t step = s->now + 50 < end ? s->now + 50 : end;
        while (s->event_count > 0 && s->events[0].at <= step && !s->failure) {
            struct sim_event e = sim_pop_event(s);
            s->now = sim_max(s->now, e.at);
            execute(s, &e);
            free(e.text);
            free(e.more);
        }
        s->now = step;
        for (unsigned i = 0; i < s->node_count; i++)
            run_node(&s->nodes[i]);
    }
}

void sim_init(struct sim *s, uint64_t seed, unsigned nodes, uint64_t window_ms)
{
    *s = (struct sim){
        .seed = seed, .random = seed, .now = 1000000, .node_count = nodes, .window_ms = window_ms};
    for (unsigned i = 0; i < nodes; i++) {
        s->nodes[i].sim = s;
        s->nodes[i].index = i;
        sim_start(s, i);
    }
}

void sim_fini(struct sim *s)
{
    for (unsigned i = 0; i < s->node_count; i++)
        sim_kill(s, i);
    for (size_t i = 0; i < s->event_count; i++) {
        free(s->events[i].text);
        free(s->events[i].more);
    }
    free(s->events);
    sim_store_clear(s);
    free(s->fields);
}
