/* SPDX-License-Identifier: MIT */
/* The store: executes commands as Redis does, and publishes deltas over a bad network. */
#include "tests/unit/broker/presence_sim_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct sim_field *find_field(struct sim *s, unsigned topic, bool is_seq,
                                    struct tk_slice name)
{
    for (size_t i = 0; i < s->field_count; i++) {
        struct sim_field *f = &s->fields[i];
        if (f->topic == topic && f->is_seq == is_seq && tk_slice_eq_str(name, f->name))
            return f;
    }
    return NULL;
}

static void set_field(struct sim *s, unsigned topic, bool is_seq, struct tk_slice name,
                      struct tk_slice text)
{
    struct sim_field *f = find_field(s, topic, is_seq, name);
    if (!f) {
        if (s->field_count == s->field_cap) {
            s->field_cap = s->field_cap ? s->field_cap * 2 : 64;
            s->fields = tk_xrealloc(s->fields, s->field_cap * sizeof(*s->fields));
        }
        f = &s->fields[s->field_count++];
        *f = (struct sim_field){topic, is_seq, tk_xstrndup(name.ptr, name.len), NULL};
    }
    free(f->text);
    f->text = tk_xstrndup(text.ptr, text.len);
}

static void delete_field(struct sim *s, unsigned topic, bool is_seq, struct tk_slice name)
{
    struct sim_field *f = find_field(s, topic, is_seq, name);
    if (!f)
        return;
    free(f->name);
    free(f->text);
    *f = s->fields[--s->field_count];
}

void sim_store_clear(struct sim *s)
{
    for (size_t i = 0; i < s->field_count; i++) {
        free(s->fields[i].name);
        free(s->fields[i].text);
    }
    s->field_count = 0;
}

static struct tk_slice field_name(struct tk_buf *out, const char *node, struct tk_slice ref)
{
    tk_buf_clear(out);
    tk_buf_append_str(out, node);
    tk_buf_append_char(out, '|');
    tk_buf_append_slice(out, ref);
    return tk_buf_slice(out);
}

static void publish(struct sim *s, unsigned topic, const char *delta)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        if (!n->is_alive || !n->is_linked || !n->rooms[topic].is_subscribed)
            continue;
        uint64_t at = s->now + 1 + sim_random(s, SIM_MAX_DELAY);
        unsigned copies = 1;
        if (s->is_rough) {
            copies = sim_random(s, 8) == 0 ? 0 : sim_random(s, 8) == 0 ? 2 : 1;
            if (sim_random(s, 8) == 0)
                at += sim_random(s, 3000);
        } else {
            at = n->heard_until = sim_max(n->heard_until, at);
        }
        for (unsigned c = 0; c < copies; c++)
            sim_push_event(s, (struct sim_event){.at = at + c * sim_random(s, 500),
                                                 .kind = EVENT_DELTA,
                                                 .node = i,
                                                 .link = n->link,
                                                 .incarnation = n->incarnation,
                                                 .topic = topic,
                                                 .text = tk_xstrdup(delta)});
    }
}

/* text: the delta, then "ref\nentry\n"...; more: refs that go. Executed even if the node is gone.
 */
void sim_store_write(struct sim *s, const struct sim_event *e)
{
    struct tk_buf name = {0};
    struct tk_slice delta = {0}, ref, text;
    const char *lines = e->text, *removed = e->more;
    char id[32], number[24];
    sim_node_name(id, e->node, e->incarnation);
    sim_next_line(&lines, &delta);
    while (sim_next_line(&removed, &ref))
        delete_field(s, e->topic, false, field_name(&name, id, ref));
    while (sim_next_line(&lines, &ref) && sim_next_line(&lines, &text))
        set_field(s, e->topic, false, field_name(&name, id, ref), text);
    snprintf(number, sizeof(number), "%" PRIu64, e->number);
    if (e->flag)
        delete_field(s, e->topic, true, tk_slice_str(id));
    else
        set_field(s, e->topic, true, tk_slice_str(id), tk_slice_str(number));
    char *copy = tk_xstrndup(delta.ptr, delta.len);
    publish(s, e->topic, copy);
    free(copy);
    tk_buf_fini(&name);
    sim_answer(s, e, EVENT_WRITTEN, NULL);
}

void sim_store_forget(struct sim *s, const struct sim_event *e)
{
    struct tk_buf name = {0};
    struct tk_slice ref;
    const char *refs = e->more;
    while (sim_next_line(&refs, &ref))
        delete_field(s, e->topic, false, field_name(&name, e->text, ref));
    if (e->flag)
        delete_field(s, e->topic, true, tk_slice_str(e->text));
    tk_buf_fini(&name);
}

void sim_store_check(struct sim *s, const struct sim_event *e)
{
    struct sim_event result = *e;
    result.flag = false;
    for (unsigned i = 0; i < s->node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        if (strcmp(n->id, e->text) == 0 && n->lease_until > s->now) {
            result.flag = true;
            result.number = n->lease_floor;
        } else if (strcmp(n->linger_id, e->text) == 0 && n->linger_until > s->now) {
            result.flag = true;
            result.number = n->linger_floor;
        }
    }
    sim_answer(s, &result, EVENT_LEASE, tk_xstrdup(e->text));
}

static char *list_fields(const struct sim *s, unsigned topic, bool is_seq, size_t from, size_t max)
{
    struct tk_buf lines = {0};
    for (size_t i = from; i < s->field_count && max > 0; i++, max--)
        if (s->fields[i].topic == topic && s->fields[i].is_seq == is_seq)
            tk_buf_appendf(&lines, "%s\n%s\n", s->fields[i].name, s->fields[i].text);
    char *text = tk_xstrdup(tk_buf_str(&lines));
    tk_buf_fini(&lines);
    return text;
}

/*
 * The scan goes down the list, because a field that is deleted is replaced by the last one: like
 * Redis' it names every field that is there all the time, and some of the others.
 */
void sim_store_read_part(struct sim *s, const struct sim_event *e)
{
    size_t step = 1 + sim_random(s, 6);
    size_t top = e->cursor < s->field_count ? e->cursor : s->field_count;
    size_t from = top > step ? top - step : 0;
    sim_answer(s, e, EVENT_PART, list_fields(s, e->topic, false, from, s->field_count - from));
    if (from == 0)
        sim_answer(s, e, EVENT_READ_END, NULL);
    else
        sim_send_command(&s->nodes[e->node], (struct sim_event){.kind = EVENT_READ_PART,
                                                                .topic = e->topic,
                                                                .number = e->number,
                                                                .cursor = from});
}

void sim_store_read_seqs(struct sim *s, const struct sim_event *e)
{
    sim_answer(s, e, EVENT_SEQS, list_fields(s, e->topic, true, 0, s->field_count));
    if (!e->flag) {
        sim_send_command(&s->nodes[e->node], (struct sim_event){.kind = EVENT_READ_PART,
                                                                .topic = e->topic,
                                                                .number = e->number,
                                                                .cursor = SIZE_MAX});
        return;
    }
    struct sim_event count = *e;
    count.cursor = 0;
    for (size_t i = 0; i < s->field_count; i++)
        count.cursor += s->fields[i].topic == e->topic && !s->fields[i].is_seq;
    sim_answer(s, &count, EVENT_COUNT, NULL);
    sim_answer(s, e, EVENT_READ_END, NULL);
}
