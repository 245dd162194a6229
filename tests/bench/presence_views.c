/* SPDX-License-Identifier: MIT */
/*
 * A state of thousands comes in pieces, and is read as they come: what a piece cuts in two is found
 * in the last bytes that were kept of the one before it.
 */
#include "tests/bench/presence_views.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/tk_buf.h"
#include "common/tk_map.h"
#include "tests/bench/clock.h"

#define REF_MARK    "\"phx_ref\":\""
#define REF_LEN     16
#define REF_TOKEN   (sizeof(REF_MARK) - 1 + REF_LEN)
#define LEAVES_MARK "\"leaves\":{"
#define TIME_MARK   "\"t\":"
#define KEPT        (REF_TOKEN - 1)
#define HEAD_BYTES  512            /* in which the event is */
#define LINGER_NS   (2 * NS_PER_S) /* after the last join, for its diff */

struct view {
    uint64_t refs, sum;
    bool is_leaving; /* behind LEAVES_MARK */
    uint8_t kept_len;
    char kept[KEPT];
};

struct presence_views {
    struct clients *clients;
    uint32_t count;
    struct view *views;

    struct churn_plan plan;
    struct churn_result result;
    bool is_running;
    uint64_t next_ns, end_ns;
    uint32_t next;    /* who leaves */
    uint32_t outside; /* who left last; count: nobody */
};

/* Views ---------------------------------------------------------------------------------------- */

static bool contains(struct tk_slice text, const char *part, size_t len)
{
    return memmem(text.ptr, text.len, part, len) != NULL;
}

static void count_ref(struct view *view, const char *ref)
{
    uint64_t hash = tk_hash(tk_slice(ref, REF_LEN));
    view->refs += view->is_leaving ? (uint64_t)-1 : 1;
    view->sum += view->is_leaving ? (uint64_t)-hash : hash;
}

/* Refs that end behind `from`, up to where the text ends or a diff's leaves begin. */
static void count_refs(struct view *view, struct tk_slice text, size_t from)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while ((at = memmem(at, (size_t)(end - at), REF_MARK, sizeof(REF_MARK) - 1))) {
        const char *ref = at + sizeof(REF_MARK) - 1;
        if ((size_t)(end - ref) < REF_LEN)
            return;
        if ((size_t)(ref + REF_LEN - text.ptr) > from)
            count_ref(view, ref);
        at = ref + REF_LEN;
    }
}

static void count_both_sides(struct view *view, struct tk_slice text, size_t from)
{
    const char *leaves =
        view->is_leaving ? NULL : memmem(text.ptr, text.len, LEAVES_MARK, sizeof(LEAVES_MARK) - 1);
    if (!leaves) {
        count_refs(view, text, from);
        return;
    }
    size_t joins_len = (size_t)(leaves - text.ptr);
    count_refs(view, tk_slice(text.ptr, joins_len), from);
    view->is_leaving = true;
    count_refs(view, tk_slice(leaves, text.len - joins_len),
               from > joins_len ? from - joins_len : 0);
}

static void keep_end(struct view *view, struct tk_slice piece)
{
    size_t len = piece.len < KEPT ? piece.len : KEPT;
    memcpy(view->kept, piece.ptr + piece.len - len, len);
    view->kept_len = (uint8_t)len;
}

/* What begins in the piece before this one and ends in this one. */
static void count_across(struct view *view, struct tk_slice piece)
{
    char border[2 * KEPT];
    size_t len = piece.len < KEPT ? piece.len : KEPT;
    memcpy(border, view->kept, view->kept_len);
    memcpy(border + view->kept_len, piece.ptr, len);
    count_both_sides(view, tk_slice(border, view->kept_len + len), view->kept_len);
}

static void note_latencies(struct presence_views *v, struct tk_slice diff, uint64_t now_ns)
{
    const char *leaves = memmem(diff.ptr, diff.len, LEAVES_MARK, sizeof(LEAVES_MARK) - 1);
    const char *end = leaves ? leaves : diff.ptr + diff.len, *at = diff.ptr;
    v->result.diffs++;
    while ((at = memmem(at, (size_t)(end - at), TIME_MARK, sizeof(TIME_MARK) - 1))) {
        at += sizeof(TIME_MARK) - 1;
        uint64_t time_ns = 0;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            time_ns = time_ns * 10 + (uint64_t)(*at - '0');
        if (time_ns <= now_ns)
            histogram_add(&v->result.latencies, now_ns - time_ns);
    }
}

static void on_presence(void *arg, uint32_t client, struct tk_slice piece, bool is_first,
                        uint64_t now_ns)
{
    struct presence_views *v = arg;
    struct view *view = &v->views[client];
    if (is_first) {
        struct tk_slice head = tk_slice(piece.ptr, piece.len < HEAD_BYTES ? piece.len : HEAD_BYTES);
        bool is_state = contains(head, "\"presence_state\"", sizeof("\"presence_state\"") - 1);
        if (is_state)
            *view = (struct view){0};
        view->is_leaving = false;
        if (!is_state && v->is_running)
            note_latencies(v, piece, now_ns);
    } else {
        count_across(view, piece);
    }
    count_both_sides(view, piece, 0);
    keep_end(view, piece);
}

uint32_t presence_views_agree(const struct presence_views *v, uint64_t refs)
{
    const struct view *first = NULL;
    uint32_t agree = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct view *view = &v->views[i];
        if (!clients_is_joined(v->clients, i) || view->refs != refs)
            continue;
        if (!first)
            first = view;
        agree += view->sum == first->sum;
    }
    return agree;
}

struct presence_views *presence_views_new(struct clients *clients, uint32_t count)
{
    struct presence_views *v = tk_xcalloc(1, sizeof(*v));
    v->clients = clients;
    v->count = count;
    v->views = tk_xcalloc((size_t)count + 1, sizeof(*v->views));
    clients_on_presence(clients, on_presence, v);
    return v;
}

void presence_views_free(struct presence_views *v)
{
    free(v->views);
    free(v);
}

/* Churn ---------------------------------------------------------------------------------------- */

static void push(struct presence_views *v, uint32_t client, const char *head, const char *event,
                 uint64_t time_ns)
{
    struct tk_buf text = {0};
    tk_buf_appendf(&text, "[\"1\",\"%s\",\"%s\",\"%s\",{", head,
                   clients_topic_of(v->clients, client), event);
    if (time_ns > 0)
        tk_buf_appendf(&text, "\"meta\":{\"t\":%" PRIu64 "}", time_ns);
    tk_buf_append_str(&text, "}]");
    clients_push(v->clients, client, tk_buf_slice(&text));
    tk_buf_fini(&text);
}

static void let_back_in(struct presence_views *v)
{
    if (v->outside == v->count)
        return;
    push(v, v->outside, "1", "phx_join", clock_ns());
    v->outside = v->count;
    v->result.joins++;
}

static void send_one_out(struct presence_views *v)
{
    for (uint32_t tries = 0; tries < v->count; tries++) {
        uint32_t client = v->next++ % v->count;
        if (!clients_is_joined(v->clients, client))
            continue;
        push(v, client, "4", "phx_leave", 0);
        v->outside = client;
        v->result.leaves++;
        return;
    }
}

const char *presence_churn_begin(struct presence_views *v, const struct churn_plan *plan)
{
    if (plan->per_s == 0 || clients_totals(v->clients)->joined < 2)
        return "churn needs a rate and two members";
    v->plan = *plan;
    v->result = (struct churn_result){0};
    v->next_ns = clock_ns();
    v->end_ns = v->next_ns + plan->duration_ns;
    v->outside = v->count;
    v->is_running = true;
    return NULL;
}

uint64_t presence_churn_tick(struct presence_views *v, uint64_t now_ns)
{
    if (!v->is_running)
        return NEVER_NS;
    for (; v->next_ns <= now_ns && v->next_ns < v->end_ns; v->next_ns += NS_PER_S / v->plan.per_s) {
        let_back_in(v);
        send_one_out(v);
    }
    if (v->next_ns < v->end_ns)
        return v->next_ns;
    let_back_in(v);
    if (now_ns >= v->end_ns + LINGER_NS)
        v->is_running = false;
    return v->is_running ? v->end_ns + LINGER_NS : NEVER_NS;
}

bool presence_churn_is_running(const struct presence_views *v)
{
    return v->is_running;
}

const struct churn_result *presence_churn_result(const struct presence_views *v)
{
    return &v->result;
}
