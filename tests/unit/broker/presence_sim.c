/* SPDX-License-Identifier: MIT */
#include "tests/unit/broker/presence_sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LINGER_MS 4000
#define MAX_DELAY 40

enum event_kind {
    EVENT_WRITE, /* the store executes */
    EVENT_FORGET,
    EVENT_CHECK,
    EVENT_READ_SEQS,
    EVENT_READ_PART,
    EVENT_SUBSCRIBE,
    EVENT_WRITTEN, /* a node hears */
    EVENT_LEASE,
    EVENT_SEQS,
    EVENT_PART,
    EVENT_COUNT,
    EVENT_READ_END,
    EVENT_SUBSCRIBED,
    EVENT_DELTA,
    EVENT_NEWS,
    EVENT_LEASE_LOST,
};

struct sim_event {
    uint64_t at, order;
    enum event_kind kind;
    unsigned node, link, incarnation;
    unsigned topic;
    uint64_t number; /* seq, read id, floor */
    bool flag;
    size_t cursor;
    char *text; /* delta, or lines "field\ntext\n", or a node's id */
    char *more; /* of a write: refs that it removes */
};

struct sim_field {
    unsigned topic;
    bool is_seq;
    char *name; /* "<node>|<ref>" or "<node>" */
    char *text;
};

static const char *const topic_names[SIM_TOPICS] = {"room:a", "room:b", "room:c"};

static void fail(struct sim *s, const char *what, const char *fmt, ...) TK_PRINTF(3, 4);
static void fail(struct sim *s, const char *what, const char *fmt, ...)
{
    va_list args;
    if (s->failure)
        return;
    s->failure = what;
    va_start(args, fmt);
    vsnprintf(s->detail, sizeof(s->detail), fmt, args);
    va_end(args);
}

static void say(const struct sim *s, const char *fmt, ...) TK_PRINTF(2, 3);
static void say(const struct sim *s, const char *fmt, ...)
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

static unsigned topic_index(struct tk_slice name)
{
    for (unsigned i = 0; i < SIM_TOPICS; i++)
        if (tk_slice_eq_str(name, topic_names[i]))
            return i;
    tk_assert(!"a topic of the test");
    return 0;
}

/*
 * Events: a heap by time
 */

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

static void push_event(struct sim *s, struct sim_event event)
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

static struct sim_event pop_event(struct sim *s)
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

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A command of a node: executed in the order of asking. */
static bool send_command(struct sim_node *n, struct sim_event event)
{
    struct sim *s = n->sim;
    if (!n->is_linked) {
        free(event.text);
        free(event.more);
        return false;
    }
    n->sent_until = max_of(n->sent_until, s->now + 1 + sim_random(s, MAX_DELAY));
    event.at = n->sent_until;
    event.node = n->index;
    event.link = n->link;
    event.incarnation = n->incarnation;
    push_event(s, event);
    return true;
}

/* The answer, in the order of execution. */
static void answer(struct sim *s, const struct sim_event *command, enum event_kind kind, char *text)
{
    struct sim_node *n = &s->nodes[command->node];
    struct sim_event event = *command;
    n->answered_until = max_of(n->answered_until, s->now + 1 + sim_random(s, MAX_DELAY));
    event.at = n->answered_until;
    event.kind = kind;
    event.text = text;
    event.more = NULL;
    push_event(s, event);
}

static bool is_current(const struct sim *s, const struct sim_event *e)
{
    const struct sim_node *n = &s->nodes[e->node];
    return n->is_alive && n->incarnation == e->incarnation && n->is_linked && n->link == e->link;
}

/*
 * The store
 */

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

static void clear_fields(struct sim *s)
{
    for (size_t i = 0; i < s->field_count; i++) {
        free(s->fields[i].name);
        free(s->fields[i].text);
    }
    s->field_count = 0;
}

/* Cuts the next line off. */
static bool next_line(const char **text, struct tk_slice *line)
{
    const char *end = *text ? strchr(*text, '\n') : NULL;
    if (!end)
        return false;
    *line = tk_slice(*text, (size_t)(end - *text));
    *text = end + 1;
    return true;
}

static struct tk_slice field_name(struct tk_buf *out, const char *node, struct tk_slice ref)
{
    tk_buf_clear(out);
    tk_buf_append_str(out, node);
    tk_buf_append_char(out, '|');
    tk_buf_append_slice(out, ref);
    return tk_buf_slice(out);
}

static void node_name(char out[32], unsigned index, unsigned incarnation)
{
    snprintf(out, 32, "n%u/0@%u", index, incarnation);
}

static void publish(struct sim *s, unsigned topic, const char *delta)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        if (!n->is_alive || !n->is_linked || !n->rooms[topic].is_subscribed)
            continue;
        uint64_t at = s->now + 1 + sim_random(s, MAX_DELAY);
        unsigned copies = 1;
        if (s->is_rough) {
            copies = sim_random(s, 8) == 0 ? 0 : sim_random(s, 8) == 0 ? 2 : 1;
            if (sim_random(s, 8) == 0)
                at += sim_random(s, 3000);
        } else {
            at = n->heard_until = max_of(n->heard_until, at);
        }
        for (unsigned c = 0; c < copies; c++)
            push_event(s, (struct sim_event){.at = at + c * sim_random(s, 500),
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
static void execute_write(struct sim *s, const struct sim_event *e)
{
    struct tk_buf name = {0};
    struct tk_slice delta = {0}, ref, text;
    const char *lines = e->text, *removed = e->more;
    char id[32], number[24];
    node_name(id, e->node, e->incarnation);
    next_line(&lines, &delta);
    while (next_line(&removed, &ref))
        delete_field(s, e->topic, false, field_name(&name, id, ref));
    while (next_line(&lines, &ref) && next_line(&lines, &text))
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
    answer(s, e, EVENT_WRITTEN, NULL);
}

static void execute_forget(struct sim *s, const struct sim_event *e)
{
    struct tk_buf name = {0};
    struct tk_slice ref;
    const char *refs = e->more;
    while (next_line(&refs, &ref))
        delete_field(s, e->topic, false, field_name(&name, e->text, ref));
    if (e->flag)
        delete_field(s, e->topic, true, tk_slice_str(e->text));
    tk_buf_fini(&name);
}

static void execute_check(struct sim *s, const struct sim_event *e)
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
    answer(s, &result, EVENT_LEASE, tk_xstrdup(e->text));
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
static void execute_read_part(struct sim *s, const struct sim_event *e)
{
    size_t step = 1 + sim_random(s, 6);
    size_t top = e->cursor < s->field_count ? e->cursor : s->field_count;
    size_t from = top > step ? top - step : 0;
    answer(s, e, EVENT_PART, list_fields(s, e->topic, false, from, s->field_count - from));
    if (from == 0)
        answer(s, e, EVENT_READ_END, NULL);
    else
        send_command(&s->nodes[e->node], (struct sim_event){.kind = EVENT_READ_PART,
                                                            .topic = e->topic,
                                                            .number = e->number,
                                                            .cursor = from});
}

static void execute_read_seqs(struct sim *s, const struct sim_event *e)
{
    answer(s, e, EVENT_SEQS, list_fields(s, e->topic, true, 0, s->field_count));
    if (!e->flag) {
        send_command(&s->nodes[e->node], (struct sim_event){.kind = EVENT_READ_PART,
                                                            .topic = e->topic,
                                                            .number = e->number,
                                                            .cursor = SIZE_MAX});
        return;
    }
    struct sim_event count = *e;
    count.cursor = 0;
    for (size_t i = 0; i < s->field_count; i++)
        count.cursor += s->fields[i].topic == e->topic && !s->fields[i].is_seq;
    answer(s, &count, EVENT_COUNT, NULL);
    answer(s, e, EVENT_READ_END, NULL);
}

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
static void view_apply(struct sim_node *n, struct sim_view *v, struct tk_slice diff)
{
    static const char border[] = ",\"leaves\":";
    const char *at = memmem(diff.ptr, diff.len, border, sizeof(border) - 1);
    struct tk_slice joins = tk_slice(diff.ptr, (size_t)(at - diff.ptr));
    struct tk_slice leaves = tk_slice(at, diff.len - joins.len), ref;
    size_t changes = 0;
    for (; next_ref(&joins, &ref); changes++) {
        if (view_find(v, ref) != SIZE_MAX)
            fail(n->sim, "a member is told twice that somebody joined", "%.16s", ref.ptr);
        else
            view_add(v, ref);
    }
    for (; next_ref(&leaves, &ref); changes++) {
        size_t i = view_find(v, ref);
        if (i == SIZE_MAX)
            fail(n->sim, "a member is told that a stranger left", "%.16s", ref.ptr);
        else
            memcpy(v->refs[i], v->refs[--v->count], sizeof(v->refs[i]));
    }
    if (changes == 0)
        fail(n->sim, "an empty diff", "%.*s", (int)diff.len, diff.ptr);
}

static void view_fill(struct sim_view *v, const struct presence_topic *t)
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
 * What the engines ask for
 */

static void on_diff(void *arg, struct presence_topic *t, struct tk_slice diff)
{
    struct sim_node *n = arg;
    struct sim_room *room = &n->rooms[topic_index(presence_topic_name(t))];
    n->sim->diffs++;
    for (unsigned i = 0; i < SIM_MEMBERS; i++)
        if (room->members[i].is_joined)
            view_apply(n, &room->members[i].view, diff);
}

static void on_ready(void *arg, struct presence_topic *t)
{
    (void)arg; /* seen by polling, as the broker does at the end of a turn */
    if (!presence_is_ready(t))
        fail(((struct sim_node *)arg)->sim, "on_ready of a topic that is not", "-");
}

static void op_subscribe(void *arg, struct tk_slice topic)
{
    struct sim_node *n = arg;
    send_command(n, (struct sim_event){.kind = EVENT_SUBSCRIBE, .topic = topic_index(topic)});
}

static void op_unsubscribe(void *arg, struct tk_slice topic)
{
    struct sim_node *n = arg;
    n->rooms[topic_index(topic)].is_subscribed = false;
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
    return send_command(n, (struct sim_event){.kind = EVENT_WRITE,
                                              .topic = topic_index(w->topic),
                                              .number = w->seq,
                                              .flag = w->is_empty,
                                              .text = copy,
                                              .more = join_lines(w->removed, w->removed_count)});
}

static bool op_read(void *arg, struct tk_slice topic, uint64_t id, bool only_seqs)
{
    return send_command(arg, (struct sim_event){.kind = EVENT_READ_SEQS,
                                                .topic = topic_index(topic),
                                                .number = id,
                                                .flag = only_seqs});
}

static bool op_check(void *arg, struct tk_slice node)
{
    return send_command(
        arg, (struct sim_event){.kind = EVENT_CHECK, .text = tk_xstrndup(node.ptr, node.len)});
}

static void op_forget(void *arg, struct tk_slice topic, struct tk_slice node,
                      const struct tk_slice *refs, size_t count, bool wholly)
{
    send_command(arg, (struct sim_event){.kind = EVENT_FORGET,
                                         .topic = topic_index(topic),
                                         .flag = wholly,
                                         .text = tk_xstrndup(node.ptr, node.len),
                                         .more = join_lines(refs, count)});
}

static void op_touch(void *arg, struct tk_slice topic)
{
    (void)arg;
    (void)topic;
}

static const struct presence_ops ops = {
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
    struct tk_slice topic = tk_slice_str(topic_names[e->topic]), name, text;
    const char *lines = e->text;
    while (next_line(&lines, &name) && next_line(&lines, &text)) {
        if (e->kind == EVENT_SEQS)
            presence_on_read_seq(&n->presence, topic, e->number, name, text);
        else
            presence_on_read_entry(&n->presence, topic, e->number, name, text);
    }
}

static void hear(struct sim_node *n, const struct sim_event *e)
{
    struct presence *p = &n->presence;
    struct tk_slice topic = tk_slice_str(topic_names[e->topic]);
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
static void keep_in_socket(struct sim_node *n, const struct sim_event *e)
{
    if (n->unread_count == n->unread_cap) {
        n->unread_cap = n->unread_cap ? n->unread_cap * 2 : 16;
        n->unread = tk_xrealloc(n->unread, n->unread_cap * sizeof(*n->unread));
    }
    n->unread[n->unread_count] = *e;
    n->unread[n->unread_count++].text = e->text ? tk_xstrdup(e->text) : NULL;
}

static void read_socket(struct sim_node *n, bool is_heard)
{
    for (size_t i = 0; i < n->unread_count; i++) {
        if (is_heard && is_current(n->sim, &n->unread[i]))
            hear(n, &n->unread[i]);
        free(n->unread[i].text);
    }
    free(n->unread);
    n->unread = NULL;
    n->unread_count = n->unread_cap = 0;
}

static void execute(struct sim *s, const struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    if (e->kind == EVENT_WRITE) {
        execute_write(s, e); /* what was sent is executed, whatever became of the sender */
    } else if (e->kind == EVENT_FORGET) {
        execute_forget(s, e);
    } else if (!is_current(s, e)) {
        return;
    } else if (e->kind == EVENT_CHECK) {
        execute_check(s, e);
    } else if (e->kind == EVENT_READ_SEQS) {
        execute_read_seqs(s, e);
    } else if (e->kind == EVENT_READ_PART) {
        execute_read_part(s, e);
    } else if (e->kind == EVENT_SUBSCRIBE) {
        n->rooms[e->topic].is_subscribed = n->rooms[e->topic].t != NULL;
        n->heard_until = max_of(n->heard_until, s->now);
        answer(s, e, EVENT_SUBSCRIBED, NULL);
    } else if (n->is_paused) {
        keep_in_socket(n, e);
    } else {
        hear(n, e);
    }
}

/*
 * Time
 */

static void admit(struct sim_node *n, struct sim_room *room, struct sim_member *m)
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
    view_fill(&m->view, room->t);
}

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
                admit(n, room, &room->members[i]);
        }
    if (!n->is_linked)
        return;
    if (n->lease_until <= s->now && n->lease_until != 0) {
        say(s, "n%u lost its lease", n->index);
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
            struct sim_event e = pop_event(s);
            s->now = max_of(s->now, e.at);
            execute(s, &e);
            free(e.text);
            free(e.more);
        }
        s->now = step;
        for (unsigned i = 0; i < s->node_count; i++)
            run_node(&s->nodes[i]);
    }
}

/*
 * What happens to nodes
 */

static void send_news(struct sim *s, const char *id, enum presence_news news, bool replaces)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        if (n->is_alive && n->is_linked && (!s->is_rough || sim_random(s, 4) > 0))
            push_event(s, (struct sim_event){.at = s->now + 1 + sim_random(s, MAX_DELAY),
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
    say(s, "n%u link %d", index, is_linked);
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
        presence_on_written(&n->presence, tk_slice_str(topic_names[r]), 0, false);
    }
}

void sim_start(struct sim *s, unsigned index)
{
    struct sim_node *n = &s->nodes[index];
    if (n->is_alive)
        return;
    n->incarnation++;
    node_name(n->id, index, n->incarnation);
    say(s, "n%u starts as %s", index, n->id);
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
    presence_init(&n->presence, &options, &ops, n, s->now);
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
    say(s, "n%u is killed", index);
    n->is_linked = false; /* nothing that it does on its way out is heard */
    n->link++;
    read_socket(n, false);
    end_all(n, false);
    presence_fini(&n->presence);
    n->is_alive = false;
}

void sim_drain(struct sim *s, unsigned index)
{
    struct sim_node *n = &s->nodes[index];
    if (!n->is_alive || n->is_paused)
        return;
    say(s, "n%u drains", index);
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
    say(s, "n%u paused %d", index, is_paused);
    n->is_paused = is_paused;
    if (!is_paused)
        read_socket(n, true);
}

void sim_wipe_store(struct sim *s)
{
    say(s, "the store is wiped");
    clear_fields(s);
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
        room->t = presence_open(&n->presence, tk_slice_str(topic_names[topic]), room);
    say(s, "n%u %s member %u: user%u joins", node, topic_names[topic], member, user);
    if (presence_is_ready(room->t))
        admit(n, room, m);
    return true;
}

bool sim_leave(struct sim *s, unsigned node, unsigned topic, unsigned member)
{
    struct sim_node *n = &s->nodes[node];
    struct sim_room *room = &n->rooms[topic];
    if (!n->is_alive || n->is_paused || !room->members[member].is_used)
        return false;
    say(s, "n%u %s member %u leaves", node, topic_names[topic], member);
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
    say(s, "n%u %s member %u updates", node, topic_names[topic], member);
    presence_tick(&n->presence, s->now);
    snprintf(key, sizeof(key), "user%u", m->user);
    const struct presence_person person = {.key = tk_slice_str(key), .client = TK_SLICE("\"u\":1")};
    m->entry = presence_update(room->t, m->entry, &person, s->now);
    return true;
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
            fail(s, "a member sees a ghost", "n%u %s %s", node, topic_names[topic], v->refs[i]);
    if (v->count != truth)
        fail(s, "a member's view is not the truth", "n%u %s: %zu of %zu", node, topic_names[topic],
             v->count, truth);
}

static void tell_room(const struct sim *s, unsigned node, unsigned topic)
{
    const struct presence_topic *t = s->nodes[node].rooms[topic].t;
    say(s, "n%u %s: self %u entries, seq %" PRIu64 ", read %d", node, topic_names[topic],
        t->self.origin.count, t->self.seq, t->read_state);
    for (const struct presence_part *part = t->parts; part; part = part->next)
        say(s, "  %.*s: %u entries, seq %" PRIu64 ", up %d missing %d", (int)part->node->id_len,
            part->node->id, part->origin.count, part->seq, part->node->is_up,
            part->node->is_missing);
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].topic == topic)
            say(s, "  stored: %s %s", s->fields[i].name, s->fields[i].text);
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
        fail(s, "a node does not know the truth", "n%u %s: %zu known, %u shown of %zu", node,
             topic_names[topic], room->t->set.entries.count, room->t->set.shown_entries, truth);
    while ((e = tk_map_next(&room->t->set.entries, &pos))) {
        const struct presence_entry *own = find_owner(s, topic, e->ref);
        if (own && (own->meta_len != e->meta_len || memcmp(own->meta, e->meta, e->meta_len) != 0))
            fail(s, "a meta has changed on its way", "%s", e->ref);
    }
    for (unsigned i = 0; i < SIM_MEMBERS; i++) {
        if (room->members[i].is_used && !room->members[i].is_joined)
            fail(s, "a join was never let in", "n%u %s", node, topic_names[topic]);
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
            fail(s, "the store keeps a ghost", "%s %s", topic_names[f->topic], f->name);
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
    clear_fields(s);
    free(s->fields);
}
