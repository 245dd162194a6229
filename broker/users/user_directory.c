/* SPDX-License-Identifier: MIT */
/*
 * Lookups wait in two ways at once. All callers stand in one line by deadline (they all have the
 * same time, so the line is in order and one timer is enough). Callers for the same user share a
 * question, and questions are queued, then asked up to 512 in one statement: with an idle
 * connection at once, else with whatever gathers until one is free. A question lives while it is in
 * flight or somebody waits for it.
 */
#include "broker/users/user_directory.h"

#include <stdlib.h>

#include "broker/users/pg_link.h"
#include "broker/users/user_cache.h"
#include "common/tk_buf.h"
#include "common/tk_log.h"

#define BATCH_MAX 512

static const char statement[] = "SELECT id, nickname FROM users WHERE id = ANY($1::uuid[])";

struct user_lookup {
    struct question *question;
    struct user_lookup *prev, *next;           /* all callers, by deadline */
    struct user_lookup *same_prev, *same_next; /* callers of the same question */
    uint64_t deadline_ms;
    user_lookup_fn fn;
    void *arg;
};

struct question {
    struct user_directory *dir;
    struct tk_uuid id;
    struct user_lookup *callers;
    struct question *prev, *next; /* in the queue */
    bool is_queued;
    bool is_stale;       /* the user changed while the answer was under way */
    struct batch *batch; /* while in flight: its statement, and its place there */
    size_t batch_index;
};

/* One statement in flight: the questions it asks. Those that are settled already are NULL. */
struct batch {
    struct user_directory *dir;
    struct batch *next_free;
    size_t count;
    struct question *questions[BATCH_MAX];
};

struct user_directory {
    uv_loop_t *loop;
    struct user_directory_options options;
    const struct pg_link_ops *database;
    struct pg_link *link;
    bool is_closed;
    uv_timer_t timer; /* the deadline of first */
    struct user_lookup *first, *last;
    struct tk_map questions;
    struct question *queue_first, *queue_last;
    struct user_cache known, unknown;
    struct batch *batches; /* one per connection */
    struct batch *free_batches;
    struct tk_buf parameter; /* scratch */
    struct user_directory_stats stats;
};

static struct tk_slice id_slice(const struct tk_uuid *id)
{
    return tk_slice((const char *)id->bytes, sizeof(id->bytes));
}

static struct tk_slice question_key(const void *value)
{
    return id_slice(&((const struct question *)value)->id);
}

static void enqueue(struct user_directory *dir, struct question *q)
{
    q->is_queued = true;
    q->is_stale = false;
    q->next = NULL;
    q->prev = dir->queue_last;
    if (q->prev)
        q->prev->next = q;
    else
        dir->queue_first = q;
    dir->queue_last = q;
}

static void dequeue(struct user_directory *dir, struct question *q)
{
    q->is_queued = false;
    if (dir->queue_first == q)
        dir->queue_first = q->next;
    else
        q->prev->next = q->next;
    if (q->next)
        q->next->prev = q->prev;
    else
        dir->queue_last = q->prev;
}

static struct question *get_question(struct user_directory *dir, const struct tk_uuid *id)
{
    struct question *q = tk_map_find(&dir->questions, id_slice(id));
    if (q)
        return q;
    q = tk_xcalloc(1, sizeof(*q));
    q->dir = dir;
    q->id = *id;
    tk_map_put(&dir->questions, q);
    enqueue(dir, q);
    return q;
}

static void free_question(struct user_directory *dir, struct question *q)
{
    tk_map_remove(&dir->questions, id_slice(&q->id));
    free(q);
}

static void on_deadline(uv_timer_t *timer);

static void arm_timer(struct user_directory *dir)
{
    uint64_t now = uv_now(dir->loop);
    if (dir->is_closed)
        return;
    if (dir->first == NULL)
        uv_timer_stop(&dir->timer);
    else
        uv_timer_start(&dir->timer, on_deadline,
                       dir->first->deadline_ms > now ? dir->first->deadline_ms - now : 0, 0);
}

static void stand_in_line(struct user_directory *dir, struct user_lookup *l)
{
    l->deadline_ms = uv_now(dir->loop) + (uint64_t)dir->options.lookup_timeout_ms;
    l->prev = dir->last;
    if (dir->last)
        dir->last->next = l;
    else
        dir->first = l;
    dir->last = l;
    if (++dir->stats.waiting > dir->stats.peak_waiting)
        dir->stats.peak_waiting = dir->stats.waiting;
    if (dir->first == l)
        arm_timer(dir);
}

static void join_question(struct question *q, struct user_lookup *l)
{
    l->question = q;
    l->same_next = q->callers;
    if (q->callers)
        q->callers->same_prev = l;
    q->callers = l;
}

/* Takes the caller out of the line and away from his question. */
static void leave(struct user_directory *dir, struct question *q, struct user_lookup *l)
{
    if (q->callers == l)
        q->callers = l->same_next;
    else
        l->same_prev->same_next = l->same_next;
    if (l->same_next)
        l->same_next->same_prev = l->same_prev;
    if (dir->first == l)
        dir->first = l->next;
    else
        l->prev->next = l->next;
    if (l->next)
        l->next->prev = l->prev;
    else
        dir->last = l->prev;
    dir->stats.waiting--;
}

/* A question that was not asked yet need not be when nobody waits for it any more. */
static void drop_if_idle(struct user_directory *dir, struct question *q)
{
    if (q->callers || !q->is_queued)
        return;
    dequeue(dir, q);
    free_question(dir, q);
}

/* The caller's function may do anything to the directory, closing included. */
static void call_back(struct user_lookup *l, enum tk_err err, const struct user_record *user)
{
    user_lookup_fn fn = l->fn;
    void *arg = l->arg;
    free(l);
    fn(arg, err, user);
}

/* Takes a question out of the statement that asked it. */
static void settle(struct question *q)
{
    if (q->batch)
        q->batch->questions[q->batch_index] = NULL;
    q->batch = NULL;
}

/*
 * Ends a question that is not queued. It leaves the map first, so that a caller who asks again
 * starts a new one.
 */
static void answer_question(struct user_directory *dir, struct question *q, enum tk_err err,
                            const struct user_record *user)
{
    struct user_lookup *l;
    settle(q);
    tk_map_remove(&dir->questions, id_slice(&q->id));
    while (!dir->is_closed && (l = q->callers) != NULL) {
        leave(dir, q, l);
        call_back(l, err, user);
    }
    free(q);
}

/* Back to the queue, if anybody still wants to know. */
static void ask_again(struct user_directory *dir, struct question *q)
{
    settle(q);
    if (q->callers)
        enqueue(dir, q);
    else
        free_question(dir, q);
}

static void on_deadline(uv_timer_t *timer)
{
    struct user_directory *dir = timer->data;
    uint64_t now = uv_now(dir->loop);
    struct user_lookup *l;
    while (!dir->is_closed && (l = dir->first) != NULL && l->deadline_ms <= now) {
        struct question *q = l->question;
        dir->stats.timeouts++;
        leave(dir, q, l);
        drop_if_idle(dir, q);
        call_back(l, TK_ETIMEOUT, NULL);
    }
    arm_timer(dir);
}

static void on_known(struct user_directory *dir, struct question *q, const char *nickname)
{
    struct user_record user = {.id = q->id, .nickname = nickname};
    user_cache_forget(&dir->unknown, &q->id);
    user_cache_put(&dir->known, &q->id, nickname, uv_now(dir->loop));
    answer_question(dir, q, TK_OK, &user);
}

static void on_unknown(struct user_directory *dir, struct question *q)
{
    user_cache_forget(&dir->known, &q->id);
    user_cache_put(&dir->unknown, &q->id, NULL, uv_now(dir->loop));
    answer_question(dir, q, TK_ENOTFOUND, NULL);
}

/* The question of this batch that a row answers. */
static struct question *find_asked(const struct batch *b, const PGresult *result, int row)
{
    struct tk_uuid id;
    struct tk_slice text =
        tk_slice(PQgetvalue(result, row, 0), (size_t)PQgetlength(result, row, 0));
    if (tk_uuid_parse(text, &id))
        return NULL;
    struct question *q = tk_map_find(&b->dir->questions, id_slice(&id));
    return q && q->batch == b ? q : NULL;
}

static void take_rows(struct batch *b, const PGresult *result)
{
    struct user_directory *dir = b->dir;
    int rows = PQnfields(result) == 2 ? PQntuples(result) : 0;
    for (int row = 0; row < rows && !dir->is_closed; row++) {
        struct question *q = find_asked(b, result, row);
        if (q && !q->is_stale)
            on_known(dir, q, PQgetisnull(result, row, 1) ? NULL : PQgetvalue(result, row, 1));
    }
}

/* What the rows left over: users who do not exist, or everybody when the statement failed. */
static void take_rest(struct batch *b, enum tk_err err)
{
    struct user_directory *dir = b->dir;
    for (size_t i = 0; i < b->count && !dir->is_closed; i++) {
        struct question *q = b->questions[i];
        if (q == NULL)
            continue;
        if (q->is_stale || err == TK_EUNAVAIL || err == TK_ETIMEOUT)
            ask_again(dir, q);
        else if (err)
            answer_question(dir, q, TK_EUNAVAIL, NULL);
        else
            on_unknown(dir, q);
    }
}

static void release_batch(struct batch *b)
{
    b->count = 0;
    b->next_free = b->dir->free_batches;
    b->dir->free_batches = b;
}

static void ask(struct user_directory *dir);

static void on_result(void *arg, enum tk_err err, const PGresult *result)
{
    struct batch *b = arg;
    struct user_directory *dir = b->dir;
    if (!err)
        take_rows(b, result);
    take_rest(b, err);
    if (dir->is_closed)
        return;
    release_batch(b);
    ask(dir);
}

static void fill_batch(struct batch *b)
{
    struct user_directory *dir = b->dir;
    while (b->count < BATCH_MAX && dir->queue_first) {
        struct question *q = dir->queue_first;
        dequeue(dir, q);
        q->batch = b;
        q->batch_index = b->count;
        b->questions[b->count++] = q;
    }
}

/* The array literal of the statement's parameter: {uuid,uuid}. */
static const char *write_parameter(struct user_directory *dir, const struct batch *b)
{
    char text[TK_UUID_LEN + 1];
    tk_buf_clear(&dir->parameter);
    for (size_t i = 0; i < b->count; i++) {
        tk_buf_append_char(&dir->parameter, i == 0 ? '{' : ',');
        tk_buf_append_str(&dir->parameter, tk_uuid_format(&b->questions[i]->id, text));
    }
    tk_buf_append_char(&dir->parameter, '}');
    return tk_buf_str(&dir->parameter);
}

/* Sends what waits, as far as there are connections. */
static void ask(struct user_directory *dir)
{
    while (dir->queue_first && dir->free_batches && dir->database->has_idle(dir->link)) {
        struct batch *b = dir->free_batches;
        dir->free_batches = b->next_free;
        fill_batch(b);
        if (dir->database->execute(dir->link, write_parameter(dir, b), on_result, b)) {
            take_rest(b, TK_EUNAVAIL);
            release_batch(b);
            return;
        }
        dir->stats.statements++;
        dir->stats.looked_up += b->count;
    }
}

static void on_database_change(void *arg)
{
    struct user_directory *dir = arg;
    struct question *q;
    while (!dir->is_closed && (q = dir->queue_first) != NULL &&
           dir->database->is_failing(dir->link)) {
        dequeue(dir, q);
        answer_question(dir, q, TK_EUNAVAIL, NULL);
    }
    if (!dir->is_closed)
        ask(dir);
}

static void open_database(struct user_directory *dir)
{
    const struct pg_link_options options = {
        .conninfo = dir->options.conninfo,
        .statement_name = "find_users",
        .statement = statement,
        .connections = dir->options.connections,
        .connect_timeout_ms = dir->options.lookup_timeout_ms,
        .statement_timeout_ms = dir->options.lookup_timeout_ms,
    };
    dir->link = dir->database->open(dir->loop, &options, on_database_change, dir);
}

struct user_directory *user_directory_open(uv_loop_t *loop,
                                           const struct user_directory_options *options)
{
    struct user_directory *dir = tk_xcalloc(1, sizeof(*dir));
    dir->loop = loop;
    dir->options = *options;
    dir->database = options->database ? options->database : &pg_link_ops;
    tk_map_init(&dir->questions, question_key);
    user_cache_init(&dir->known, options->cache_size, (uint64_t)options->cache_ms);
    user_cache_init(&dir->unknown, options->cache_size, (uint64_t)options->unknown_cache_ms);
    dir->batches = tk_xcalloc((size_t)options->connections, sizeof(*dir->batches));
    for (int i = 0; i < options->connections; i++) {
        dir->batches[i].dir = dir;
        release_batch(&dir->batches[i]);
    }
    uv_timer_init(loop, &dir->timer);
    dir->timer.data = dir;
    open_database(dir);
    return dir;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct user_directory *dir = handle->data;
    tk_buf_fini(&dir->parameter);
    free(dir->batches);
    free(dir);
}

void user_directory_close(struct user_directory *dir)
{
    if (dir == NULL || dir->is_closed)
        return;
    dir->is_closed = true;
    dir->database->close(dir->link);
    uv_close((uv_handle_t *)&dir->timer, on_timer_closed);

    struct user_lookup *l;
    while ((l = dir->first) != NULL) {
        dir->first = l->next;
        free(l);
    }
    struct question *q;
    size_t pos = 0;
    while ((q = tk_map_next(&dir->questions, &pos)) != NULL)
        free(q);
    tk_map_fini(&dir->questions);
    user_cache_clear(&dir->known);
    user_cache_clear(&dir->unknown);
}

enum tk_err user_directory_cached(struct user_directory *dir, const struct tk_uuid *id,
                                  struct user_record *user)
{
    uint64_t now = uv_now(dir->loop);
    const struct cached_user *known = user_cache_find(&dir->known, id, now);
    if (known == NULL && user_cache_find(&dir->unknown, id, now) == NULL)
        return TK_EUNAVAIL;
    dir->stats.cache_hits++;
    if (known == NULL)
        return TK_ENOTFOUND;
    user->id = *id;
    user->nickname = known->has_nickname ? known->nickname : NULL;
    return TK_OK;
}

enum tk_err user_directory_find(struct user_directory *dir, const struct tk_uuid *id,
                                user_lookup_fn fn, void *arg, struct user_lookup **lookup)
{
    if (dir->stats.waiting >= dir->options.max_waiting)
        return TK_ELIMIT;
    if (dir->database->is_failing(dir->link))
        return TK_EUNAVAIL;
    struct user_lookup *l = tk_xcalloc(1, sizeof(*l));
    l->fn = fn;
    l->arg = arg;
    join_question(get_question(dir, id), l);
    stand_in_line(dir, l);
    *lookup = l;
    ask(dir);
    return TK_OK;
}

void user_directory_cancel(struct user_lookup *lookup)
{
    struct question *q = lookup->question;
    leave(q->dir, q, lookup);
    drop_if_idle(q->dir, q);
    free(lookup);
}

void user_directory_on_event(struct user_directory *dir, const struct tk_user_event *event)
{
    if (event->kind == TK_USER_DISCONNECT)
        return;
    user_cache_forget(&dir->known, &event->id);
    user_cache_forget(&dir->unknown, &event->id);
    struct question *q = tk_map_find(&dir->questions, id_slice(&event->id));
    if (q && q->batch)
        q->is_stale = true;
}

void user_directory_forget_all(struct user_directory *dir)
{
    struct question *q;
    size_t pos = 0;
    user_cache_clear(&dir->known);
    user_cache_clear(&dir->unknown);
    while ((q = tk_map_next(&dir->questions, &pos)) != NULL)
        q->is_stale = q->batch != NULL;
}

void user_directory_expire(struct user_directory *dir)
{
    uint64_t now = uv_now(dir->loop);
    user_cache_expire(&dir->known, now);
    user_cache_expire(&dir->unknown, now);
}

const struct user_directory_stats *user_directory_stats(const struct user_directory *dir)
{
    return &dir->stats;
}

bool user_directory_is_up(const struct user_directory *dir)
{
    return dir->database->is_up(dir->link);
}
