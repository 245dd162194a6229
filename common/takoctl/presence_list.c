/* SPDX-License-Identifier: MIT */
/*
 * HSCAN of the topic's hash, whose fields are "<node>|<ref>", then EXISTS for the lease of each
 * node among them. What is not an entry is left out: brokers ignore it, too.
 */
#include "common/takoctl/presence_list.h"

#include <stdlib.h>
#include <time.h>

#include "common/envelope.h"
#include "common/takoctl/publish.h"
#include "common/tk_json.h"
#include "common/tk_map.h"

#define MAX_ITEMS    1000000
#define MAX_BYTES    (128U << 10) /* of one entry; a broker's are at most half as large */
#define TIME_LIMIT_S 30
#define CURSOR_BYTES 24
#define ENTRY_FIELDS 6
#define MAX_DIGITS   15

static const struct tk_json_rules rules = {.max_depth = 80};

struct reader {
    const struct ctl *ctl;
    redisContext *redis;
    struct presence_list *list;
    struct tk_map seen; /* fields: HSCAN may return one twice */
    time_t give_up;
};

struct seen_field {
    size_t len;
    char name[];
};

static struct tk_slice seen_name(const void *value)
{
    const struct seen_field *seen = value;
    return tk_slice(seen->name, seen->len);
}

void presence_list_free(struct presence_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].text);
    free(list->items);
    *list = (struct presence_list){0};
}

static bool read_number(const struct tk_json_value *value, int64_t *number)
{
    *number = 0;
    if (value->type != TK_JSON_NUMBER || value->raw.len > MAX_DIGITS)
        return false;
    for (size_t i = 0; i < value->raw.len; i++) {
        if (value->raw.ptr[i] < '0' || value->raw.ptr[i] > '9')
            return false;
        *number = *number * 10 + (value->raw.ptr[i] - '0');
    }
    return true;
}

/* item->text is the field, then the entry: [number,"ref","key",since_ms,kept,meta] */
static bool parse_item(struct presence_item *item, size_t field_len, size_t len)
{
    enum { KEY = 2, SINCE, KEPT, META };
    struct tk_json_value fields[ENTRY_FIELDS];
    size_t count;
    int64_t kept;
    struct tk_slice entry = tk_slice(item->text + field_len, len - field_len);
    const char *bar = memrchr(item->text, '|', field_len);

    if (bar == NULL || tk_json_scan_array(entry, &rules, fields, ENTRY_FIELDS, &count) ||
        count < ENTRY_FIELDS || fields[KEY].type != TK_JSON_STRING || fields[KEY].has_escapes ||
        !read_number(&fields[SINCE], &item->since_ms) || !read_number(&fields[KEPT], &kept) ||
        fields[META].type != TK_JSON_OBJECT)
        return false;
    item->node = tk_slice(item->text, (size_t)(bar - item->text));
    item->key = tk_slice(fields[KEY].raw.ptr + 1, fields[KEY].raw.len - 2);
    item->meta = fields[META].raw;
    item->is_kept = kept != 0;
    return true;
}

static void append(struct presence_list *list, const struct presence_item *item)
{
    if (list->count == list->cap) {
        list->cap = list->cap > 0 ? list->cap * 2 : 64;
        list->items = tk_xrealloc(list->items, list->cap * sizeof(*list->items));
    }
    list->items[list->count++] = *item;
}

/* False when it was there already. */
static bool note_field(struct reader *r, const redisReply *field)
{
    if (tk_map_find(&r->seen, tk_slice(field->str, field->len)) != NULL)
        return false;
    struct seen_field *seen = tk_xmalloc(sizeof(*seen) + field->len);
    seen->len = field->len;
    memcpy(seen->name, field->str, field->len);
    tk_map_put(&r->seen, seen);
    return true;
}

static void take_entry(struct reader *r, const redisReply *field, const redisReply *entry)
{
    struct presence_item item = {0};
    size_t len = field->len + entry->len;

    if (field->type != REDIS_REPLY_STRING || entry->type != REDIS_REPLY_STRING || len > MAX_BYTES ||
        !note_field(r, field))
        return;
    item.text = tk_xmalloc(len + 1);
    memcpy(item.text, field->str, field->len);
    memcpy(item.text + field->len, entry->str, entry->len);
    if (parse_item(&item, field->len, len))
        append(r->list, &item);
    else
        free(item.text);
}

static bool is_scan_reply(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING && reply->element[0]->len < CURSOR_BYTES &&
           reply->element[1]->type == REDIS_REPLY_ARRAY && reply->element[1]->elements % 2 == 0;
}

static bool fail_redis(const struct reader *r, const redisReply *reply)
{
    struct ctl_redis_reason reason;

    ctl_fail(r->ctl, "%s", ctl_redis_reason(r->redis, reply, &reason));
    return false;
}

/* One step of the walk, which is over when cursor becomes "0". */
static bool scan_step(struct reader *r, const char *topic, char cursor[CURSOR_BYTES])
{
    redisReply *reply =
        redisCommand(r->redis, "HSCAN " TK_KEY_PRESENCE_PREFIX "%s %s COUNT 1000", topic, cursor);
    bool is_good = is_scan_reply(reply);

    if (is_good) {
        const redisReply *pairs = reply->element[1];
        snprintf(cursor, CURSOR_BYTES, "%s", reply->element[0]->str);
        for (size_t i = 0; i < pairs->elements; i += 2)
            take_entry(r, pairs->element[i], pairs->element[i + 1]);
    } else {
        fail_redis(r, reply);
    }
    freeReplyObject(reply);
    return is_good;
}

static bool is_within_bounds(const struct reader *r)
{
    if (time(NULL) <= r->give_up && r->list->count < MAX_ITEMS)
        return true;
    ctl_fail(r->ctl, "more than %d entries, or not read within %d s", MAX_ITEMS, TIME_LIMIT_S);
    return false;
}

static bool read_entries(struct reader *r, const char *topic)
{
    char cursor[CURSOR_BYTES] = "0";

    do {
        if (!is_within_bounds(r) || !scan_step(r, topic, cursor))
            return false;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

static bool ask_for_lease(const struct reader *r, struct tk_slice node, bool *is_alive)
{
    redisReply *reply =
        redisCommand(r->redis, "EXISTS " TK_KEY_NODE_PREFIX "%b", node.ptr, node.len);
    bool is_good = reply != NULL && reply->type == REDIS_REPLY_INTEGER;

    if (is_good)
        *is_alive = reply->integer > 0;
    else
        fail_redis(r, reply);
    freeReplyObject(reply);
    return is_good;
}

static int compare_by_node(const void *left, const void *right)
{
    const struct presence_item *a = left, *b = right;

    return tk_slice_compare(a->node, b->node);
}

/* Of one key those who are expected back come last. */
static int compare_by_key(const void *left, const void *right)
{
    const struct presence_item *a = left, *b = right;
    int order = tk_slice_compare(a->key, b->key);

    if (order == 0)
        order = a->is_kept - b->is_kept;
    return order != 0 ? order : (a->since_ms > b->since_ms) - (a->since_ms < b->since_ms);
}

/* Keeps the items for which keep is true of the item and the one kept before it (NULL: none). */
static void filter(struct presence_list *list,
                   bool (*keep)(const struct presence_item *item, const struct presence_item *last))
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct presence_item *last = kept > 0 ? &list->items[kept - 1] : NULL;
        if (keep(&list->items[i], last))
            list->items[kept++] = list->items[i];
        else
            free(list->items[i].text);
    }
    list->count = kept;
}

static bool has_node(const struct presence_item *item, const struct presence_item *last)
{
    (void)last;
    return item->node.len > 0;
}

static bool is_not_back(const struct presence_item *item, const struct presence_item *last)
{
    return !item->is_kept || last == NULL || last->is_kept || !tk_slice_eq(item->key, last->key);
}

/* The items are sorted by node: one question each. */
static bool drop_dead(struct reader *r)
{
    struct presence_list *list = r->list;
    struct tk_slice node = {0};
    bool is_alive = false;

    for (size_t i = 0; i < list->count; i++) {
        struct presence_item *item = &list->items[i];
        if (i == 0 || !tk_slice_eq(item->node, node)) {
            node = item->node;
            if (!is_within_bounds(r) || !ask_for_lease(r, node, &is_alive))
                return false;
        }
        if (!is_alive)
            item->node.len = 0;
    }
    filter(list, has_node);
    return true;
}

static void sort(struct presence_list *list, int (*compare)(const void *left, const void *right))
{
    if (list->count > 0)
        qsort(list->items, list->count, sizeof(*list->items), compare);
}

static bool read_all(struct reader *r, const char *topic)
{
    if (!read_entries(r, topic))
        return false;
    sort(r->list, compare_by_node);
    if (!drop_dead(r))
        return false;
    sort(r->list, compare_by_key);
    filter(r->list, is_not_back);
    return true;
}

bool presence_list_read(const struct ctl *ctl, const char *topic, struct presence_list *list)
{
    struct reader r = {.ctl = ctl, .list = list, .give_up = time(NULL) + TIME_LIMIT_S};
    struct seen_field *seen;
    size_t pos = 0;

    *list = (struct presence_list){0};
    r.redis = ctl_redis_open(ctl);
    if (r.redis == NULL)
        return false;
    tk_map_init(&r.seen, seen_name);
    bool is_good = read_all(&r, topic);
    while ((seen = tk_map_next(&r.seen, &pos)) != NULL)
        free(seen);
    tk_map_fini(&r.seen);
    redisFree(r.redis);
    return is_good;
}
