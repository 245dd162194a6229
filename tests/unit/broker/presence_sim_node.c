/* SPDX-License-Identifier: MIT */
/* A node: what its engine asks for, and what it hears. */
#include "tests/unit/broker/presence_sim_internal.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * What the engines ask for
 */

static void on_diff(void *arg, struct presence_topic *t, struct tk_slice diff)
{
    struct sim_node *n = arg;
    struct sim_room *room = &n->rooms[sim_topic_index(presence_topic_name(t))];
    n->sim->diffs++;
    for (unsigned i = 0; i < SIM_MEMBERS; i++)
        if (room->members[i].is_joined)
            sim_view_apply(n, &room->members[i].view, diff);
}

static void on_ready(void *arg, struct presence_topic *t)
{
    (void)arg; /* seen by polling, as the broker does at the end of a turn */
    if (!presence_is_ready(t))
        sim_fail(((struct sim_node *)arg)->sim, "on_ready of a topic that is not", "-");
}

static void op_subscribe(void *arg, struct tk_slice topic)
{
    struct sim_node *n = arg;
    sim_send_command(n,
                     (struct sim_event){.kind = EVENT_SUBSCRIBE, .topic = sim_topic_index(topic)});
}

static void op_unsubscribe(void *arg, struct tk_slice topic)
{
    struct sim_node *n = arg;
    n->rooms[sim_topic_index(topic)].is_subscribed = false;
}

static char *join_lines(const struct tk_slice *items, size_t count)
{
    struct tk_buf text = {0};
    for (size_t i = 0; i < count; i++) {
        tk_buf_append_slice(&text, items[i]);
        tk_buf_append_char(&text, '\n');
    }
    char *copy = tk_xstrdup(tk_buf_str(&text));
    tk_buf_fini(&text);
    return copy;
}

static bool op_write(void *arg, const struct presence_write *w)
{
    struct sim_node *n = arg;
    struct tk_buf text = {0};
    tk_buf_append_slice(&text, w->delta);
    tk_buf_append_char(&text, '\n');
    for (size_t i = 0; i < w->entry_count; i++)
        tk_buf_appendf(&text, "%.*s\n%.*s\n", (int)w->refs[i].len, w->refs[i].ptr,
                       (int)w->entries[i].len, w->entries[i].ptr);
    char *copy = tk_xstrdup(tk_buf_str(&text));
    tk_buf_fini(&text);
    return sim_send_command(n,
                            (struct sim_event){.kind = EVENT_WRITE,
                                               .topic = sim_topic_index(w->topic),
                                               .number = w->seq,
                                               .flag = w->is_empty,
                                               .text = copy,
                                               .more = join_lines(w->removed, w->removed_count)});
}

static bool op_read(void *arg, struct tk_slice topic, uint64_t id, bool only_seqs)
{
    return sim_send_command(arg, (struct sim_event){.kind = EVENT_READ_SEQS,
                                                    .topic = sim_topic_index(topic),
                                                    .number = id,
                                                    .flag = only_seqs});
}

static bool op_check(void *arg, struct tk_slice node)
{
    return sim_send_command(
        arg, (struct sim_event){.kind = EVENT_CHECK, .text = tk_xstrndup(node.ptr, node.len)});
}

static void op_forget(void *arg, struct tk_slice topic, struct tk_slice node,
                      const struct tk_slice *refs, size_t count, bool wholly)
{
    sim_send_command(arg, (struct sim_event){.kind = EVENT_FORGET,
                                             .topic = sim_topic_index(topic),
                                             .flag = wholly,
                                             .text = tk_xstrndup(node.ptr, node.len),
                                             .more = join_lines(refs, count)});
}

static void op_touch(void *arg, struct tk_slice topic)
{
    (void)arg;
    (void)topic;
}

const struct presence_ops sim_node_ops = {
    .on_diff = on_diff,
    .on_ready = on_ready,
    .subscribe = op_subscribe,
    .unsubscribe = op_unsubscribe,
    .write = op_write,
    .read = op_read,
    .check = op_check,
    .forget = op_forget,
    .touch = op_touch,
};

/*
 * What nodes hear
 */

static void hear_lines(struct sim_node *n, const struct sim_event *e)
{
    struct tk_slice topic = tk_slice_str(sim_topic_names[e->topic]), name, text;
    const char *lines = e->text;
    while (sim_next_line(&lines, &name) && sim_next_line(&lines, &text)) {
        if (e->kind == EVENT_SEQS)
            presence_on_read_seq(&n->presence, topic, e->number, name, text);
        else
            presence_on_read_entry(&n->presence, topic, e->number, name, text);
    }
}

void sim_node_hear(struct sim_node *n, const struct sim_event *e)
{
    struct presence *p = &n->presence;
    struct tk_slice topic = tk_slice_str(sim_topic_names[e->topic]);
    struct tk_slice text = tk_slice_str(e->text ? e->text : "");
    presence_tick(p, n->sim->now);
    if (e->kind == EVENT_WRITTEN)
        presence_on_written(p, topic, e->number, true);
    else if (e->kind == EVENT_LEASE)
        presence_on_lease(p, text, e->flag, e->number);
    else if (e->kind == EVENT_SEQS || e->kind == EVENT_PART)
        hear_lines(n, e);
    else if (e->kind == EVENT_COUNT)
        presence_on_read_count(p, topic, e->number, e->cursor);
    else if (e->kind == EVENT_READ_END)
        presence_on_read_end(p, topic, e->number, true);
    else if (e->kind == EVENT_SUBSCRIBED)
        presence_on_subscribed(p, topic);
    else if (e->kind == EVENT_DELTA)
        presence_on_delta(p, topic, text);
    else if (e->kind == EVENT_NEWS)
        presence_on_node(p, text, (enum presence_news)e->number, e->flag);
    else if (e->kind == EVENT_LEASE_LOST)
        presence_on_lease_lost(p);
}

/* A stopped process reads nothing; it comes to it, in order, when it goes on. */
void sim_node_keep_unread(struct sim_node *n, const struct sim_event *e)
{
    if (n->unread_count == n->unread_cap) {
        n->unread_cap = n->unread_cap ? n->unread_cap * 2 : 16;
        n->unread = tk_xrealloc(n->unread, n->unread_cap * sizeof(*n->unread));
    }
    n->unread[n->unread_count] = *e;
    n->unread[n->unread_count++].text = e->text ? tk_xstrdup(e->text) : NULL;
}

void sim_node_read_unread(struct sim_node *n, bool is_heard)
{
    for (size_t i = 0; i < n->unread_count; i++) {
        if (is_heard && sim_is_current(n->sim, &n->unread[i]))
            sim_node_hear(n, &n->unread[i]);
        free(n->unread[i].text);
    }
    free(n->unread);
    n->unread = NULL;
    n->unread_count = n->unread_cap = 0;
}

void sim_node_admit(struct sim_node *n, struct sim_room *room, struct sim_member *m)
{
    char key[16], client[40];
    snprintf(key, sizeof(key), "user%u", m->user);
    snprintf(client, sizeof(client), "\"n\":%u", n->index);
    const struct presence_person person = {
        .key = tk_slice_str(key),
        .nickname = tk_slice_str(key),
        .online_at = n->sim->now / 1000,
        .client = tk_slice_str(client),
    };
    enum tk_err err = presence_track(room->t, &person, n->sim->now, &m->entry);
    tk_assert(err == TK_OK);
    m->is_joined = true;
    sim_view_fill(&m->view, room->t);
}
