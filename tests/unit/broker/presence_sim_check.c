/* SPDX-License-Identifier: MIT */
/* What members see, and whether it is the truth. */
#include "tests/unit/broker/presence_sim_internal.h"

#include <inttypes.h>

/*
 * Views of members
 */

static size_t view_find(const struct sim_view *v, struct tk_slice ref)
{
    for (size_t i = 0; i < v->count; i++)
        if (memcmp(v->refs[i], ref.ptr, PRESENCE_REF_LEN) == 0)
            return i;
    return SIZE_MAX;
}

static void view_add(struct sim_view *v, struct tk_slice ref)
{
    if (v->count == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 8;
        v->refs = tk_xrealloc(v->refs, v->cap * sizeof(*v->refs));
    }
    memcpy(v->refs[v->count], ref.ptr, PRESENCE_REF_LEN);
    v->refs[v->count++][PRESENCE_REF_LEN] = '\0';
}

/* The next meta's ref in a state or in a side of a diff. Clients' metas have no such text here. */
static bool next_ref(struct tk_slice *text, struct tk_slice *ref)
{
    static const char mark[] = "\"phx_ref\":\"";
    const char *at = memmem(text->ptr, text->len, mark, sizeof(mark) - 1);
    if (!at)
        return false;
    at += sizeof(mark) - 1;
    *ref = tk_slice(at, PRESENCE_REF_LEN);
    *text = tk_slice(at, text->len - (size_t)(at - text->ptr));
    return true;
}

/* syncDiff of phoenix.js, which forgives what we do not: see C108. */
void sim_view_apply(struct sim_node *n, struct sim_view *v, struct tk_slice diff)
{
    static const char border[] = ",\"leaves\":";
    const char *at = memmem(diff.ptr, diff.len, border, sizeof(border) - 1);
    struct tk_slice joins = tk_slice(diff.ptr, (size_t)(at - diff.ptr));
    struct tk_slice leaves = tk_slice(at, diff.len - joins.len), ref;
    size_t changes = 0;
    for (; next_ref(&joins, &ref); changes++) {
        if (view_find(v, ref) != SIZE_MAX)
            sim_fail(n->sim, "a member is told twice that somebody joined", "%.16s", ref.ptr);
        else
            view_add(v, ref);
    }
    for (; next_ref(&leaves, &ref); changes++) {
        size_t i = view_find(v, ref);
        if (i == SIZE_MAX)
            sim_fail(n->sim, "a member is told that a stranger left", "%.16s", ref.ptr);
        else
            memcpy(v->refs[i], v->refs[--v->count], sizeof(v->refs[i]));
    }
    if (changes == 0)
        sim_fail(n->sim, "an empty diff", "%.*s", (int)diff.len, diff.ptr);
}

void sim_view_fill(struct sim_view *v, const struct presence_topic *t)
{
    struct tk_buf state = {0};
    struct tk_slice text, ref;
    presence_write_state(t, &state);
    text = tk_buf_slice(&state);
    v->count = 0;
    while (next_ref(&text, &ref))
        view_add(v, ref);
    tk_buf_fini(&state);
}

/*
 * The truth
 */

static const struct presence_entry *find_owner(struct sim *s, unsigned topic, const char *ref)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        struct sim_room *room = &s->nodes[i].rooms[topic];
        struct presence_entry *e =
            s->nodes[i].is_alive && room->t
                ? presence_set_find(&room->t->set, tk_slice(ref, PRESENCE_REF_LEN))
                : NULL;
        if (e && e->origin == &room->t->self.origin)
            return e;
    }
    return NULL;
}

static size_t count_truth(const struct sim *s, unsigned topic)
{
    size_t count = 0;
    for (unsigned i = 0; i < s->node_count; i++)
        for (unsigned m = 0; m < SIM_MEMBERS; m++)
            count += s->nodes[i].is_alive && s->nodes[i].rooms[topic].members[m].is_joined;
    return count;
}

static void check_view(struct sim *s, unsigned node, unsigned topic, const struct sim_view *v,
                       size_t truth)
{
    for (size_t i = 0; i < v->count; i++)
        if (!find_owner(s, topic, v->refs[i]))
            sim_fail(s, "a member sees a ghost", "n%u %s %s", node, sim_topic_names[topic],
                     v->refs[i]);
    if (v->count != truth)
        sim_fail(s, "a member's view is not the truth", "n%u %s: %zu of %zu", node,
                 sim_topic_names[topic], v->count, truth);
}

static void tell_room(const struct sim *s, unsigned node, unsigned topic)
{
    const struct presence_topic *t = s->nodes[node].rooms[topic].t;
    sim_say(s, "n%u %s: self %u entries, seq %" PRIu64 ", read %d", node, sim_topic_names[topic],
            t->self.origin.count, t->self.seq, t->read_state);
    for (const struct presence_part *part = t->parts; part; part = part->next)
        sim_say(s, "  %.*s: %u entries, seq %" PRIu64 ", up %d missing %d", (int)part->node->id_len,
                part->node->id, part->origin.count, part->seq, part->node->is_up,
                part->node->is_missing);
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].topic == topic)
            sim_say(s, "  stored: %s %s", s->fields[i].name, s->fields[i].text);
}

static void check_room(struct sim *s, unsigned node, unsigned topic)
{
    const struct sim_room *room = &s->nodes[node].rooms[topic];
    size_t truth = count_truth(s, topic), pos = 0;
    const struct presence_entry *e;
    if (!room->t)
        return;
    tell_room(s, node, topic);
    if (room->t->set.entries.count != truth || room->t->set.shown_entries != truth)
        sim_fail(s, "a node does not know the truth", "n%u %s: %zu known, %u shown of %zu", node,
                 sim_topic_names[topic], room->t->set.entries.count, room->t->set.shown_entries,
                 truth);
    while ((e = tk_map_next(&room->t->set.entries, &pos))) {
        const struct presence_entry *own = find_owner(s, topic, e->ref);
        if (own && (own->meta_len != e->meta_len || memcmp(own->meta, e->meta, e->meta_len) != 0))
            sim_fail(s, "a meta has changed on its way", "%s", e->ref);
    }
    for (unsigned i = 0; i < SIM_MEMBERS; i++) {
        if (room->members[i].is_used && !room->members[i].is_joined)
            sim_fail(s, "a join was never let in", "n%u %s", node, sim_topic_names[topic]);
        if (room->members[i].is_joined)
            check_view(s, node, topic, &room->members[i].view, truth);
    }
}

/* Garbage may stay where nobody is; it expires. */
static void check_store(struct sim *s)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct sim_field *f = &s->fields[i];
        if (!f->is_seq && count_truth(s, f->topic) > 0 &&
            !find_owner(s, f->topic, f->name + strlen(f->name) - PRESENCE_REF_LEN))
            sim_fail(s, "the store keeps a ghost", "%s %s", sim_topic_names[f->topic], f->name);
    }
}

bool sim_check(struct sim *s)
{
    for (unsigned n = 0; n < s->node_count; n++)
        for (unsigned t = 0; s->nodes[n].is_alive && t < SIM_TOPICS; t++)
            check_room(s, n, t);
    check_store(s);
    return s->failure == NULL;
}
