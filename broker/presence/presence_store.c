/* SPDX-License-Identifier: MIT */
/*
 * Each question to Redis carries what is needed to hand its answer to the engine: a struct request,
 * which lives until Redis has answered or the link is lost. The engine may forget a topic
 * meanwhile; it drops answers that it does not expect any more.
 *
 * A topic is two hashes. The entries are read with HSCAN, because thousands of them in one answer
 * would hold both loops up; the numbers, one per node, come in one piece before them.
 */
#include "broker/presence/presence_store.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channel_presence.h"
#include "broker/reason.h"
#include "common/envelope.h"
#include "common/tk_json.h"

#define FIELDS_PER_COMMAND 512
#define SCAN_COUNT         "256"

struct request {
    struct broker *broker;
    uint64_t number; /* of the write or the read */
    bool only_seqs;
    size_t name_len;
    char name[]; /* of the topic, or of a node */
};

static struct request *new_request(struct broker *b, struct tk_slice name, uint64_t number)
{
    struct request *r = tk_xcalloc(1, sizeof(*r) + name.len);
    r->broker = b;
    r->number = number;
    r->name_len = name.len;
    memcpy(r->name, name.ptr, name.len);
    return r;
}

static struct presence *engine_of(const struct request *r)
{
    return &r->broker->presence.engine;
}

static struct tk_slice name_of(const struct request *r)
{
    return tk_slice(r->name, r->name_len);
}

static struct tk_slice text_of(const redisReply *reply)
{
    return tk_slice(reply->str, reply->len);
}

static bool is_string(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING;
}

/* [name, text, name, text, ...], as HGETALL and HSCAN answer. */
static bool is_pairs(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (!is_string(reply->element[i]))
            return false;
    return true;
}

/*
 * Keys
 */

static struct tk_slice key(struct broker *b, const char *prefix, struct tk_slice name)
{
    struct tk_buf *out = &b->presence.key;
    tk_buf_clear(out);
    tk_buf_append_str(out, prefix);
    tk_buf_append_slice(out, name);
    return tk_buf_slice(out);
}

/* "<node>|<ref>" */
static struct tk_slice field(struct broker *b, struct tk_slice node, struct tk_slice ref)
{
    struct tk_buf *out = &b->presence.text;
    tk_buf_clear(out);
    tk_buf_append_slice(out, node);
    tk_buf_append_char(out, '|');
    tk_buf_append_slice(out, ref);
    return tk_buf_slice(out);
}

static struct tk_slice number_text(uint64_t number, char out[24])
{
    int len = snprintf(out, 24, "%" PRIu64, number);
    return tk_slice(out, (size_t)len);
}

static struct tk_slice own_id(const struct broker *b)
{
    return tk_slice_str(b->node.id);
}

/*
 * Commands of a transaction, appended to the scratch batch
 */

static void begin(struct broker *b, size_t words, const char *command, const char *prefix,
                  struct tk_slice topic)
{
    struct redis_batch *batch = &b->presence.batch;
    redis_batch_command(batch, words);
    redis_batch_word(batch, tk_slice_str(command));
    redis_batch_word(batch, key(b, prefix, topic));
}

static size_t chunk(size_t count, size_t done)
{
    return count - done < FIELDS_PER_COMMAND ? count - done : FIELDS_PER_COMMAND;
}

static void delete_entries(struct broker *b, struct tk_slice topic, struct tk_slice node,
                           const struct tk_slice *refs, size_t count)
{
    for (size_t done = 0; done < count;) {
        size_t n = chunk(count, done);
        begin(b, 2 + n, "HDEL", TK_KEY_PRESENCE_PREFIX, topic);
        for (size_t end = done + n; done < end; done++)
            redis_batch_word(&b->presence.batch, field(b, node, refs[done]));
    }
}

static void set_entries(struct broker *b, const struct presence_write *w)
{
    for (size_t done = 0; done < w->entry_count;) {
        size_t n = chunk(w->entry_count, done);
        begin(b, 2 + 2 * n, "HSET", TK_KEY_PRESENCE_PREFIX, w->topic);
        for (size_t end = done + n; done < end; done++) {
            redis_batch_word(&b->presence.batch, field(b, own_id(b), w->refs[done]));
            redis_batch_word(&b->presence.batch, w->entries[done]);
        }
    }
}

static void delete_seq(struct broker *b, struct tk_slice topic, struct tk_slice node)
{
    begin(b, 3, "HDEL", TK_KEY_PRESENCE_SEQS_PREFIX, topic);
    redis_batch_word(&b->presence.batch, node);
}

static void set_seq(struct broker *b, struct tk_slice topic, uint64_t seq)
{
    char text[24];
    begin(b, 4, "HSET", TK_KEY_PRESENCE_SEQS_PREFIX, topic);
    redis_batch_word(&b->presence.batch, own_id(b));
    redis_batch_word(&b->presence.batch, number_text(seq, text));
}

static void expire(struct broker *b, const char *prefix, struct tk_slice topic)
{
    char text[24];
    uint64_t ttl_ms = (uint64_t)b->settings->node_lease_ms * PRESENCE_TTL_LEASES;
    begin(b, 3, "PEXPIRE", prefix, topic);
    redis_batch_word(&b->presence.batch, number_text(ttl_ms, text));
}

static void expire_both(struct broker *b, struct tk_slice topic)
{
    expire(b, TK_KEY_PRESENCE_PREFIX, topic);
    expire(b, TK_KEY_PRESENCE_SEQS_PREFIX, topic);
}

static void publish(struct broker *b, struct tk_slice topic, struct tk_slice delta)
{
    begin(b, 3, "PUBLISH", TK_CHANNEL_PRESENCE_PREFIX, topic);
    redis_batch_word(&b->presence.batch, delta);
}

/* False: not sent, and r is still the caller's. */
static bool send_batch(struct broker *b, redis_reply_fn fn, struct request *r)
{
    enum tk_err err =
        b->redis ? redis_link_transaction(b->redis, fn, r, &b->presence.batch) : TK_EUNAVAIL;
    redis_batch_clear(&b->presence.batch);
    return !err;
}

static bool send_command(struct broker *b, redis_reply_fn fn, struct request *r,
                         const struct tk_slice *words, size_t count)
{
    return b->redis && redis_link_command(b->redis, fn, r, words, count) == TK_OK;
}

/* A request that was not sent has no answer to wait for. */
static bool keep_if_sent(struct request *r, bool is_sent)
{
    if (!is_sent)
        free(r);
    return is_sent;
}

/* An error, or the first one in what EXEC answers; NULL: there is none. */
static const char *error_in(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        if (reply->element[i]->type == REDIS_REPLY_ERROR)
            return reply->element[i]->str;
    return NULL;
}

/* What Redis refuses is tried again, so it is told once a minute. NULL: the link was lost. */
static bool is_refused(struct broker *b, const redisReply *reply)
{
    uint64_t suppressed;
    const char *why = reply ? error_in(reply) : NULL;
    if (why && tk_log_allow(&b->presence.refused_log, b->now_ms, &suppressed))
        tk_log_error("redis refuses presence reason=\"%s\" more=%" PRIu64, REASON(why), suppressed);
    return !reply || why;
}

/* Of what EXEC answers. */
static bool has_worked(struct broker *b, const redisReply *reply)
{
    return !is_refused(b, reply) && reply->type == REDIS_REPLY_ARRAY;
}

/*
 * Writing
 */

static void on_written(void *arg, const redisReply *reply)
{
    struct request *r = arg;
    presence_on_written(engine_of(r), name_of(r), r->number, has_worked(r->broker, reply));
    free(r);
}

static bool op_write(void *arg, const struct presence_write *w)
{
    struct broker *b = arg;
    delete_entries(b, w->topic, own_id(b), w->removed, w->removed_count);
    set_entries(b, w);
    if (w->is_empty)
        delete_seq(b, w->topic, own_id(b));
    else
        set_seq(b, w->topic, w->seq);
    expire_both(b, w->topic);
    publish(b, w->topic, w->delta);
    struct request *r = new_request(b, w->topic, w->seq);
    return keep_if_sent(r, send_batch(b, on_written, r));
}

static void op_forget(void *arg, struct tk_slice topic, struct tk_slice node,
                      const struct tk_slice *refs, size_t count, bool wholly)
{
    struct broker *b = arg;
    delete_entries(b, topic, node, refs, count);
    if (wholly)
        delete_seq(b, topic, node);
    if (b->presence.batch.commands > 0)
        send_batch(b, NULL, NULL);
}

static void on_touched(void *arg, const redisReply *reply)
{
    struct request *r = arg;
    bool is_expired = false;
    if (has_worked(r->broker, reply))
        for (size_t i = 0; i < reply->elements; i++)
            is_expired |= reply->element[i]->integer == 0;
    if (is_expired)
        presence_on_expired(engine_of(r), name_of(r));
    free(r);
}

static void op_touch(void *arg, struct tk_slice topic)
{
    struct broker *b = arg;
    expire_both(b, topic);
    struct request *r = new_request(b, topic, 0);
    keep_if_sent(r, send_batch(b, on_touched, r));
}

/*
 * Reading: numbers, then entries step by step, or only how many there are
 */

static void end_read(struct request *r, bool ok)
{
    presence_on_read_end(engine_of(r), name_of(r), r->number, ok);
    free(r);
}

static void on_entries(void *arg, const redisReply *reply);

static void scan(struct request *r, struct tk_slice cursor)
{
    struct broker *b = r->broker;
    const struct tk_slice words[] = {TK_SLICE("HSCAN"), key(b, TK_KEY_PRESENCE_PREFIX, name_of(r)),
                                     cursor, TK_SLICE("COUNT"), TK_SLICE(SCAN_COUNT)};
    if (!send_command(b, on_entries, r, words, TK_ARRAY_LEN(words)))
        end_read(r, false);
}

static bool is_scan_reply(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           is_string(reply->element[0]) && is_pairs(reply->element[1]);
}

static void on_entries(void *arg, const redisReply *reply)
{
    struct request *r = arg;
    if (is_refused(r->broker, reply) || !is_scan_reply(reply)) {
        end_read(r, false);
        return;
    }
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i < pairs->elements; i += 2)
        presence_on_read_entry(engine_of(r), name_of(r), r->number, text_of(pairs->element[i]),
                               text_of(pairs->element[i + 1]));
    struct tk_slice cursor = text_of(reply->element[0]);
    if (tk_slice_eq_str(cursor, "0"))
        end_read(r, true);
    else
        scan(r, cursor);
}

static void take_seqs(const struct request *r, const redisReply *pairs)
{
    for (size_t i = 0; i < pairs->elements; i += 2)
        presence_on_read_seq(engine_of(r), name_of(r), r->number, text_of(pairs->element[i]),
                             text_of(pairs->element[i + 1]));
}

static void on_seqs(void *arg, const redisReply *reply)
{
    struct request *r = arg;
    if (is_refused(r->broker, reply) || !is_pairs(reply)) {
        end_read(r, false);
        return;
    }
    take_seqs(r, reply);
    scan(r, TK_SLICE("0"));
}

/* [numbers, how many entries] */
static void on_probe(void *arg, const redisReply *reply)
{
    struct request *r = arg;
    bool ok = has_worked(r->broker, reply) && reply->elements == 2 && is_pairs(reply->element[0]) &&
              reply->element[1]->type == REDIS_REPLY_INTEGER;
    if (ok) {
        take_seqs(r, reply->element[0]);
        presence_on_read_count(engine_of(r), name_of(r), r->number,
                               (uint64_t)reply->element[1]->integer);
    }
    end_read(r, ok);
}

static bool op_read(void *arg, struct tk_slice topic, uint64_t id, bool only_seqs)
{
    struct broker *b = arg;
    struct request *r = new_request(b, topic, id);
    if (only_seqs) {
        begin(b, 2, "HGETALL", TK_KEY_PRESENCE_SEQS_PREFIX, topic);
        begin(b, 2, "HLEN", TK_KEY_PRESENCE_PREFIX, topic);
        return keep_if_sent(r, send_batch(b, on_probe, r));
    }
    const struct tk_slice words[] = {TK_SLICE("HGETALL"),
                                     key(b, TK_KEY_PRESENCE_SEQS_PREFIX, topic)};
    return keep_if_sent(r, send_command(b, on_seqs, r, words, TK_ARRAY_LEN(words)));
}

/*
 * Who lives
 */

/* An answer that is neither a number nor nothing says nothing. */
static void on_lease(void *arg, const redisReply *reply)
{
    struct request *r = arg;
    uint64_t floor = 0;
    bool is_known = !is_refused(r->broker, reply);
    bool is_alive =
        is_known && is_string(reply) && !presence_wire_parse_number(text_of(reply), &floor);
    if (is_alive || (is_known && reply->type == REDIS_REPLY_NIL))
        presence_on_lease(engine_of(r), name_of(r), is_alive, floor);
    free(r);
}

static bool op_check(void *arg, struct tk_slice node)
{
    struct broker *b = arg;
    const struct tk_slice words[] = {TK_SLICE("HGET"), key(b, TK_KEY_NODE_PREFIX, node),
                                     TK_SLICE("floor")};
    struct request *r = new_request(b, node, 0);
    return keep_if_sent(r, send_command(b, on_lease, r, words, TK_ARRAY_LEN(words)));
}

static enum tk_err parse_state(struct tk_slice text, enum presence_news *news)
{
    if (tk_slice_eq_str(text, "up"))
        *news = PRESENCE_NODE_UP;
    else if (tk_slice_eq_str(text, "draining"))
        *news = PRESENCE_NODE_DRAINING;
    else if (tk_slice_eq_str(text, "gone"))
        *news = PRESENCE_NODE_GONE;
    else
        return TK_EINVAL;
    return TK_OK;
}

static enum tk_err take_news(struct broker *b, const struct tk_json_value *node,
                             const struct tk_json_value *state, bool replaces)
{
    struct tk_buf scratch = {0};
    enum presence_news news;
    if (node->type != TK_JSON_STRING || node->raw.len > PRESENCE_NODE_MAX ||
        state->type != TK_JSON_STRING)
        return TK_EINVAL;
    enum tk_err err = parse_state(tk_json_string_text(state, &scratch), &news);
    tk_buf_clear(&scratch);
    if (!err)
        presence_on_node(&b->presence.engine, tk_json_string_text(node, &scratch), news, replaces);
    tk_buf_fini(&scratch);
    return err;
}

enum tk_err presence_store_on_news(struct broker *b, struct tk_slice message)
{
    static const struct tk_json_rules rules = {.max_depth = 8};
    enum { NODE, STATE, REPLACES, FIELDS };
    struct tk_json_field fields[FIELDS] = {
        [NODE] = {.name = "node"}, [STATE] = {.name = "state"}, [REPLACES] = {.name = "replaces"}};
    enum tk_err err = tk_json_scan_object(message, &rules, fields, FIELDS);
    return err ? err
               : take_news(b, &fields[NODE].value, &fields[STATE].value,
                           fields[REPLACES].value.type == TK_JSON_TRUE);
}

/*
 * Deltas
 */

static void op_subscribe(void *arg, struct tk_slice topic)
{
    struct broker *b = arg;
    if (b->redis)
        redis_link_subscribe(b->redis, key(b, TK_CHANNEL_PRESENCE_PREFIX, topic));
}

static void op_unsubscribe(void *arg, struct tk_slice topic)
{
    struct broker *b = arg;
    if (b->redis)
        redis_link_unsubscribe(b->redis, key(b, TK_CHANNEL_PRESENCE_PREFIX, topic));
}

void presence_store_on_delta(struct broker *b, struct tk_slice topic, struct tk_slice message)
{
    presence_on_delta(&b->presence.engine, topic, message);
}

void presence_store_on_subscribed(struct broker *b, struct tk_slice topic)
{
    presence_on_subscribed(&b->presence.engine, topic);
}

/*
 * The engine's life
 */

static void on_diff(void *arg, struct presence_topic *t, struct tk_slice diff)
{
    channel_presence_tell(arg, presence_owner(t), diff);
}

/* The joins that wait are let in when the engine has finished what it is doing. */
static void on_ready(void *arg, struct presence_topic *pt)
{
    struct broker *b = arg;
    struct topic *t = presence_owner(pt);
    if (t->is_ready_listed)
        return;
    t->is_ready_listed = true;
    t->holders++;
    t->next_ready = b->presence.ready;
    b->presence.ready = t;
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

void presence_store_init(struct broker *b)
{
    const struct presence_options options = {
        .node_id = b->node.id,
        .window_ms = (uint64_t)b->settings->presence_window_ms,
        .lease_ms = (uint64_t)b->settings->node_lease_ms,
        .max_per_key = (uint32_t)b->settings->presences_per_user,
        .max_per_topic = (uint32_t)b->settings->presences_per_topic,
    };
    presence_init(&b->presence.engine, &options, &ops, b, b->now_ms);
}

void presence_store_fini(struct broker *b)
{
    presence_fini(&b->presence.engine);
    redis_batch_fini(&b->presence.batch);
    tk_buf_fini(&b->presence.key);
    tk_buf_fini(&b->presence.text);
}

static void log_malformed(struct broker *b)
{
    struct presence_store *store = &b->presence;
    uint64_t count = store->engine.stats.malformed, suppressed;
    if (count == store->malformed_logged)
        return;
    if (tk_log_allow(&store->malformed_log, b->now_ms, &suppressed))
        tk_log_warn("malformed presence in Redis ignored texts=%" PRIu64,
                    count - store->malformed_logged);
    store->malformed_logged = count;
}

void presence_store_tick(struct broker *b, uint64_t now_ms)
{
    presence_tick(&b->presence.engine, now_ms);
    log_malformed(b);
}

/* Those who are let in may end the topic: it is held. */
void presence_store_end_turn(struct broker *b)
{
    while (b->presence.ready) {
        struct topic *t = b->presence.ready;
        b->presence.ready = t->next_ready;
        t->is_ready_listed = false;
        pubsub_let_in(b, t);
        pubsub_release_topic(b, t);
    }
}
