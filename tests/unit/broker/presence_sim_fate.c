/* SPDX-License-Identifier: MIT */
/* What happens to nodes, and what members do. */
#include "tests/unit/broker/presence_sim_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define LINGER_MS 4000

/*
 * What happens to nodes
 */

static void send_news(struct sim *s, const char *id, enum presence_news news, bool replaces)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        if (n->is_alive && n->is_linked && (!s->is_rough || sim_random(s, 4) > 0))
            sim_push_event(s, (struct sim_event){.at = s->now + 1 + sim_random(s, SIM_MAX_DELAY),
                                                 .kind = EVENT_NEWS,
                                                 .node = i,
                                                 .link = n->link,
                                                 .incarnation = n->incarnation,
                                                 .number = news,
                                                 .flag = replaces,
                                                 .text = tk_xstrdup(id)});
    }
}

/* Everything subscribed is subscribed again before the link counts as up, as redis_link promises.
 */
static void raise_link(struct sim_node *n)
{
    n->is_linked = true;
    n->link++;
    for (unsigned r = 0; r < SIM_TOPICS; r++)
        n->rooms[r].is_subscribed = n->rooms[r].t != NULL;
    presence_on_link_up(&n->presence);
}

void sim_link(struct sim *s, unsigned index, bool is_linked)
{
    struct sim_node *n = &s->nodes[index];
    if (!n->is_alive || n->is_paused || n->is_linked == is_linked)
        return;
    sim_say(s, "n%u link %d", index, is_linked);
    presence_tick(&n->presence, s->now);
    if (is_linked) {
        raise_link(n);
        return;
    }
    n->is_linked = false;
    n->link++;
    presence_on_link_down(&n->presence);
    for (unsigned r = 0; r < SIM_TOPICS; r++) {
        n->rooms[r].is_subscribed = false; /* writes that were not confirmed */
        presence_on_written(&n->presence, tk_slice_str(sim_topic_names[r]), 0, false);
    }
}

void sim_start(struct sim *s, unsigned index)
{
    struct sim_node *n = &s->nodes[index];
    if (n->is_alive)
        return;
    n->incarnation++;
    sim_node_name(n->id, index, n->incarnation);
    sim_say(s, "n%u starts as %s", index, n->id);
    n->is_alive = true;
    n->is_paused = n->is_linked = false;
    n->lease_until = 0;
    n->sent_until = n->answered_until = n->heard_until = s->now;
    const struct presence_options options = {
        .node_id = n->id,
        .window_ms = s->window_ms,
        .lease_ms = SIM_LEASE,
        .max_per_key = 1000,
        .max_per_topic = 1000,
    };
    presence_init(&n->presence, &options, &sim_node_ops, n, s->now);
    memset(n->presence.refs.process, 0, sizeof(n->presence.refs.process)); /* the seed decides */
    n->presence.refs.process[0] = (uint8_t)index;
    n->presence.refs.process[1] = (uint8_t)n->incarnation;
    raise_link(n);
    send_news(s, n->id, PRESENCE_NODE_UP, true);
}

static void end_member(struct sim_room *room, struct sim_member *m, bool is_kept)
{
    if (m->is_joined && is_kept)
        presence_keep(room->t, m->entry);
    else if (m->is_joined)
        presence_untrack(room->t, m->entry);
    free(m->view.refs);
    *m = (struct sim_member){0};
    if (--room->holders == 0) {
        presence_close(room->t);
        room->t = NULL;
    }
}

static void end_all(struct sim_node *n, bool is_kept)
{
    for (unsigned r = 0; r < SIM_TOPICS; r++)
        for (unsigned i = 0; i < SIM_MEMBERS; i++)
            if (n->rooms[r].members[i].is_used)
                end_member(&n->rooms[r], &n->rooms[r].members[i], is_kept);
}

void sim_kill(struct sim *s, unsigned index)
{
    struct sim_node *n = &s->nodes[index];
    if (!n->is_alive)
        return;
    sim_say(s, "n%u is killed", index);
    n->is_linked = false; /* nothing that it does on its way out is heard */
    n->link++;
    sim_node_read_unread(n, false);
    end_all(n, false);
    presence_fini(&n->presence);
    n->is_alive = false;
}

void sim_drain(struct sim *s, unsigned index)
{
    struct sim_node *n = &s->nodes[index];
    if (!n->is_alive || n->is_paused)
        return;
    sim_say(s, "n%u drains", index);
    send_news(s, n->id, PRESENCE_NODE_DRAINING, false);
    presence_tick(&n->presence, s->now);
    end_all(n, true);
    if (presence_drain(&n->presence) > 0 && n->is_linked) {
        memcpy(n->linger_id, n->id, sizeof(n->id));
        n->linger_until = s->now + LINGER_MS;
        n->linger_floor = n->presence.floor;
    }
    n->lease_until = 0;
    send_news(s, n->id, PRESENCE_NODE_GONE, false);
    n->is_linked = false;
    presence_fini(&n->presence);
    n->is_alive = false;
}

void sim_pause(struct sim *s, unsigned index, bool is_paused)
{
    struct sim_node *n = &s->nodes[index];
    if (!n->is_alive || n->is_paused == is_paused)
        return;
    sim_say(s, "n%u paused %d", index, is_paused);
    n->is_paused = is_paused;
    if (!is_paused)
        sim_node_read_unread(n, true);
}

void sim_wipe_store(struct sim *s)
{
    sim_say(s, "the store is wiped");
    sim_store_clear(s);
    for (unsigned i = 0; i < s->node_count; i++) {
        sim_link(s, i, false);
        s->nodes[i].lease_until = 0;
        s->nodes[i].linger_until = 0;
        if (s->nodes[i].is_paused) /* will find out when it goes on */
            s->nodes[i].lease_until = 1;
    }
}

/*
 * What members do
 */

bool sim_join(struct sim *s, unsigned node, unsigned topic, unsigned member, unsigned user)
{
    struct sim_node *n = &s->nodes[node];
    struct sim_room *room = &n->rooms[topic];
    struct sim_member *m = &room->members[member];
    if (!n->is_alive || n->is_paused || m->is_used)
        return false;
    presence_tick(&n->presence, s->now);
    m->is_used = true;
    m->user = user;
    if (room->holders++ == 0)
        room->t = presence_open(&n->presence, tk_slice_str(sim_topic_names[topic]), room);
    sim_say(s, "n%u %s member %u: user%u joins", node, sim_topic_names[topic], member, user);
    if (presence_is_ready(room->t))
        sim_node_admit(n, room, m);
    return true;
}

bool sim_leave(struct sim *s, unsigned node, unsigned topic, unsigned member)
{
    struct sim_node *n = &s->nodes[node];
    struct sim_room *room = &n->rooms[topic];
    if (!n->is_alive || n->is_paused || !room->members[member].is_used)
        return false;
    sim_say(s, "n%u %s member %u leaves", node, sim_topic_names[topic], member);
    presence_tick(&n->presence, s->now);
    end_member(room, &room->members[member], false);
    return true;
}

bool sim_update(struct sim *s, unsigned node, unsigned topic, unsigned member)
{
    struct sim_node *n = &s->nodes[node];
    struct sim_room *room = &n->rooms[topic];
    struct sim_member *m = &room->members[member];
    char key[16];
    if (!n->is_alive || n->is_paused || !m->is_joined)
        return false;
    sim_say(s, "n%u %s member %u updates", node, sim_topic_names[topic], member);
    presence_tick(&n->presence, s->now);
    snprintf(key, sizeof(key), "user%u", m->user);
    const struct presence_person person = {.key = tk_slice_str(key), .client = TK_SLICE("\"u\":1")};
    m->entry = presence_update(room->t, m->entry, &person, s->now);
    return true;
}
