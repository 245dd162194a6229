/* SPDX-License-Identifier: MIT */
/* What is on its way: a heap by time. Each connection keeps its order. */
#include "tests/unit/broker/presence_sim_internal.h"

#include <stdlib.h>

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event t = *a;
    *a = *b;
    *b = t;
}

void sim_push_event(struct sim *s, struct sim_event event)
{
    static uint64_t order;
    if (s->event_count == s->event_cap) {
        s->event_cap = s->event_cap ? s->event_cap * 2 : 256;
        s->events = tk_xrealloc(s->events, s->event_cap * sizeof(*s->events));
    }
    size_t i = s->event_count++;
    event.order = ++order;
    s->events[i] = event;
    for (; i > 0 && is_before(&s->events[i], &s->events[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&s->events[i], &s->events[(i - 1) / 2]);
}

struct sim_event sim_pop_event(struct sim *s)
{
    struct sim_event first = s->events[0];
    s->events[0] = s->events[--s->event_count];
    for (size_t i = 0;;) {
        size_t child = 2 * i + 1;
        if (child >= s->event_count)
            return first;
        if (child + 1 < s->event_count && is_before(&s->events[child + 1], &s->events[child]))
            child++;
        if (!is_before(&s->events[child], &s->events[i]))
            return first;
        swap(&s->events[i], &s->events[child]);
        i = child;
    }
}

/* A command of a node: executed in the order of asking. */
bool sim_send_command(struct sim_node *n, struct sim_event event)
{
    struct sim *s = n->sim;
    if (!n->is_linked) {
        free(event.text);
        free(event.more);
        return false;
    }
    n->sent_until = sim_max(n->sent_until, s->now + 1 + sim_random(s, SIM_MAX_DELAY));
    event.at = n->sent_until;
    event.node = n->index;
    event.link = n->link;
    event.incarnation = n->incarnation;
    sim_push_event(s, event);
    return true;
}

/* The answer, in the order of execution. */
void sim_answer(struct sim *s, const struct sim_event *command, enum event_kind kind, char *text)
{
    struct sim_node *n = &s->nodes[command->node];
    struct sim_event event = *command;
    n->answered_until = sim_max(n->answered_until, s->now + 1 + sim_random(s, SIM_MAX_DELAY));
    event.at = n->answered_until;
    event.kind = kind;
    event.text = text;
    event.more = NULL;
    sim_push_event(s, event);
}

bool sim_is_current(const struct sim *s, const struct sim_event *e)
{
    const struct sim_node *n = &s->nodes[e->node];
    return n->is_alive && n->incarnation == e->incarnation && n->is_linked && n->link == e->link;
}
