/* SPDX-License-Identifier: MIT */
/*
 * SCAN for the keys, then HMGET and PTTL of each. A node that goes away in between is left out, and
 * so is a key that is no hash: what is in the list was a node's entry a moment ago.
 */
#include "common/takoctl/node_list.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/envelope.h"
#include "common/takoctl/publish.h"
#include "common/tk_map.h"

#define MAX_NODES    10000
#define MAX_ID_BYTES 512 /* tako's own are far shorter */
#define TIME_LIMIT_S 30  /* SCAN walks all keys of a Redis, and others may have millions there */
#define CURSOR_BYTES 24

const struct node_field_kind node_field_kinds[NODE_FIELDS] = {
    [NODE_BROKER] = {"broker", false},
    [NODE_WORKER] = {"worker", true},
    [NODE_PID] = {"pid", true},
    [NODE_PORT] = {"port", true},
    [NODE_STATE] = {"state", false},
    [NODE_CONNECTIONS] = {"connections", true},
    [NODE_TOPICS] = {"topics", true},
    [NODE_VERSION] = {"version", false},
    [NODE_INCARNATION] = {"incarnation", false},
    [NODE_QUEUE_PEAK] = {"queue_peak", true},
    [NODE_REDIS_PEAK] = {"redis_peak", true},
    [NODE_HANDSHAKES_PEAK] = {"handshakes_peak", true},
    [NODE_LOOKUPS_PEAK] = {"lookups_peak", true},
    [NODE_STATEMENTS] = {"statements", true},
    [NODE_REFUSED] = {"refused", true},
    [NODE_LEASE] = {"lease", true},
};

struct reader {
    const struct ctl *ctl;
    redisContext *redis;
    struct node_list *list;
    struct tk_map by_id; /* SCAN may return a key twice */
    time_t give_up;
};

static struct tk_slice id_of(const void *value)
{
    return ((const struct node_entry *)value)->id;
}

static struct tk_slice copy(const char *ptr, size_t len)
{
    return tk_slice(tk_xstrndup(ptr, len), len);
}

static void free_slice(struct tk_slice slice)
{
    free((char *)slice.ptr);
}

static void free_entry(struct node_entry *node)
{
    for (int f = 0; f < NODE_FIELDS; f++)
        free_slice(node->text[f]);
    free_slice(node->id);
    free(node);
}

void node_list_free(struct node_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        free_entry(list->items[i]);
    free(list->items);
    free(list);
}

int64_t node_entry_age_ms(const struct node_entry *node)
{
    int64_t length_ms = node->number[NODE_LEASE];
    return node->lease_ms < 0 || length_ms < node->lease_ms ? -1 : length_ms - node->lease_ms;
}

static bool is_late(const struct reader *r)
{
    if (time(NULL) <= r->give_up)
        return false;
    ctl_fail(r->ctl, "Redis is too slow, or has too many keys: not done within %d s", TIME_LIMIT_S);
    return true;
}

/* False when there are too many. A key of absurd length is nobody's node. */
static bool add_key(struct reader *r, struct tk_slice key)
{
    const size_t skip = strlen(TK_KEY_NODE_PREFIX);
    struct node_list *list = r->list;

    if (key.len <= skip || key.len > skip + MAX_ID_BYTES)
        return true;
    struct tk_slice id = tk_slice(key.ptr + skip, key.len - skip);
    if (tk_map_find(&r->by_id, id) != NULL)
        return true;
    if (list->count == MAX_NODES) {
        ctl_fail(r->ctl, "more than %d keys begin with " TK_KEY_NODE_PREFIX, MAX_NODES);
        return false;
    }
    struct node_entry *node = tk_xcalloc(1, sizeof(*node));
    node->id = copy(id.ptr, id.len);
    list->items[list->count++] = node;
    tk_map_put(&r->by_id, node);
    return true;
}

static bool is_scan_reply(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING && reply->element[0]->len < CURSOR_BYTES &&
           reply->element[1]->type == REDIS_REPLY_ARRAY;
}

static bool take_keys(struct reader *r, const redisReply *keys)
{
    for (size_t i = 0; i < keys->elements; i++) {
        const redisReply *key = keys->element[i];
        if (key->type == REDIS_REPLY_STRING && !add_key(r, tk_slice(key->str, key->len)))
            return false;
    }
    return true;
}

/* One step of the walk, which is over when cursor becomes "0". */
static bool scan_step(struct reader *r, char cursor[CURSOR_BYTES])
{
    redisReply *reply =
        redisCommand(r->redis, "SCAN %s MATCH " TK_KEY_NODE_PREFIX "* COUNT 1000", cursor);
    bool is_good = false;

    if (is_scan_reply(reply)) {
        snprintf(cursor, CURSOR_BYTES, "%s", reply->element[0]->str);
        is_good = take_keys(r, reply->element[1]);
    } else {
        struct ctl_redis_reason reason;
        ctl_fail(r->ctl, "%s", ctl_redis_reason(r->redis, reply, &reason));
    }
    freeReplyObject(reply);
    return is_good;
}

static bool find_keys(struct reader *r)
{
    char cursor[CURSOR_BYTES] = "0";

    do {
        if (is_late(r) || !scan_step(r, cursor))
            return false;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

/* Digits only, of a terminated text; -1 for anything else. */
static int64_t number_of(struct tk_slice text)
{
    if (text.len == 0 || strspn(text.ptr, "0123456789") != text.len)
        return -1;
    errno = 0;
    long long value = strtoll(text.ptr, NULL, 10);
    return errno == 0 ? value : -1;
}

/* False: the lease ran out meanwhile, or the key is something else. */
static bool take_fields(struct node_entry *node, const redisReply *values)
{
    bool has_any = false;

    if (values->type != REDIS_REPLY_ARRAY || values->elements != NODE_FIELDS)
        return false;
    for (int f = 0; f < NODE_FIELDS; f++) {
        const redisReply *value = values->element[f];
        node->number[f] = -1;
        if (value->type != REDIS_REPLY_STRING)
            continue;
        has_any = true;
        node->text[f] = copy(value->str, value->len);
        node->number[f] = number_of(node->text[f]);
    }
    return has_any;
}

static void ask(redisContext *redis, const struct node_entry *node)
{
    const char *words[NODE_FIELDS + 2];
    size_t lens[NODE_FIELDS + 2];
    struct tk_buf key = {0};

    tk_buf_append_str(&key, TK_KEY_NODE_PREFIX);
    tk_buf_append_slice(&key, node->id);
    words[1] = key.data;
    lens[1] = key.len;
    for (int f = 0; f < NODE_FIELDS; f++) {
        words[f + 2] = node_field_kinds[f].name;
        lens[f + 2] = strlen(words[f + 2]);
    }
    words[0] = "HMGET";
    lens[0] = strlen(words[0]);
    redisAppendCommandArgv(redis, NODE_FIELDS + 2, words, lens);
    words[0] = "PTTL";
    lens[0] = strlen(words[0]);
    redisAppendCommandArgv(redis, 2, words, lens);
    tk_buf_fini(&key);
}

/* False: Redis is lost. */
static bool read_entry(struct reader *r, struct node_entry *node, bool *is_there)
{
    void *values = NULL, *lease = NULL;

    if (is_late(r))
        return false;
    ask(r->redis, node);
    bool is_good =
        redisGetReply(r->redis, &values) == REDIS_OK && redisGetReply(r->redis, &lease) == REDIS_OK;
    if (is_good) {
        const redisReply *left = lease;
        *is_there = take_fields(node, values);
        node->lease_ms = left->type == REDIS_REPLY_INTEGER ? left->integer : -1;
    } else {
        struct ctl_redis_reason reason;
        ctl_fail(r->ctl, "%s", ctl_redis_reason(r->redis, NULL, &reason));
    }
    freeReplyObject(values);
    freeReplyObject(lease);
    return is_good;
}

static bool read_entries(struct reader *r)
{
    struct node_list *list = r->list;
    size_t found = list->count, kept = 0, next = 0;
    bool is_good = true;

    for (; next < found && is_good; next++) {
        bool is_there = false;
        is_good = read_entry(r, list->items[next], &is_there);
        if (is_there)
            list->items[kept++] = list->items[next];
        else
            free_entry(list->items[next]);
    }
    for (; next < found; next++)
        free_entry(list->items[next]);
    list->count = kept;
    return is_good;
}

static int compare_entries(const void *left, const void *right)
{
    const struct node_entry *a = *(struct node_entry *const *)left;
    const struct node_entry *b = *(struct node_entry *const *)right;
    int64_t a_worker = a->number[NODE_WORKER], b_worker = b->number[NODE_WORKER];
    int order = tk_slice_compare(a->text[NODE_BROKER], b->text[NODE_BROKER]);

    if (order == 0)
        order = (a_worker > b_worker) - (a_worker < b_worker);
    return order != 0 ? order : tk_slice_compare(a->id, b->id);
}

struct node_list *node_list_read(const struct ctl *ctl)
{
    struct reader r = {.ctl = ctl, .give_up = time(NULL) + TIME_LIMIT_S};

    r.redis = ctl_redis_open(ctl);
    if (r.redis == NULL)
        return NULL;
    r.list = tk_xcalloc(1, sizeof(*r.list));
    r.list->items = tk_xcalloc(MAX_NODES, sizeof(struct node_entry *));
    tk_map_init(&r.by_id, id_of);
    bool is_good = find_keys(&r);
    tk_map_fini(&r.by_id);
    if (is_good)
        is_good = read_entries(&r);
    redisFree(r.redis);
    if (!is_good) {
        node_list_free(r.list);
        return NULL;
    }
    qsort(r.list->items, r.list->count, sizeof(struct node_entry *), compare_entries);
    return r.list;
}
