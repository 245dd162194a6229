/* SPDX-License-Identifier: MIT */
/* Text in, records out: nothing is believed of a number, a ref or a key that was not checked here.
 */
#include "broker/presence/presence_wire.h"

#include <inttypes.h>

#include "common/tk_json.h"

#define MAX_DIGITS 18 /* below 2^63 */

static const struct tk_json_rules rules = {.max_depth = 80}; /* a meta's own, and ours around it */

void presence_wire_entry(struct tk_buf *out, uint64_t stamp, const struct presence_record *record)
{
    tk_buf_appendf(out, "[%" PRIu64 ",\"%.*s\",\"%.*s\",%" PRIu64 ",%d,", stamp,
                   (int)record->ref.len, record->ref.ptr, (int)record->key.len, record->key.ptr,
                   record->at_ms, record->is_kept);
    tk_buf_append_slice(out, record->meta);
    tk_buf_append_char(out, ']');
}

enum tk_err presence_wire_parse_number(struct tk_slice text, uint64_t *number)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > MAX_DIGITS)
        return TK_EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return TK_EINVAL;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *number = value;
    return TK_OK;
}

static enum tk_err parse_number(const struct tk_json_value *value, uint64_t *number)
{
    if (value->type != TK_JSON_NUMBER)
        return TK_EINVAL;
    return presence_wire_parse_number(value->raw, number);
}

/* A string that needs no decoding. */
static enum tk_err parse_plain(const struct tk_json_value *value, struct tk_slice *text)
{
    if (value->type != TK_JSON_STRING || value->has_escapes)
        return TK_EINVAL;
    *text = tk_slice(value->raw.ptr + 1, value->raw.len - 2);
    return TK_OK;
}

static enum tk_err parse_ref(const struct tk_json_value *value, struct tk_slice *ref)
{
    enum tk_err err = parse_plain(value, ref);
    if (!err && !presence_ref_is_valid(*ref))
        err = TK_EINVAL;
    return err;
}

static enum tk_err parse_key(const struct tk_json_value *value, struct tk_slice *key)
{
    enum tk_err err = parse_plain(value, key);
    if (!err && !presence_key_is_valid(*key))
        err = TK_EINVAL;
    return err;
}

enum tk_err presence_wire_parse_entry(struct tk_slice text, uint64_t *stamp,
                                      struct presence_record *record)
{
    enum { STAMP, REF, KEY, AT, KEPT, META, FIELDS };
    struct tk_json_value fields[FIELDS];
    size_t count;
    uint64_t kept;
    if (tk_json_scan_array(text, &rules, fields, FIELDS, &count) || count < FIELDS ||
        parse_number(&fields[STAMP], stamp) || parse_ref(&fields[REF], &record->ref) ||
        parse_key(&fields[KEY], &record->key) || parse_number(&fields[AT], &record->at_ms) ||
        parse_number(&fields[KEPT], &kept) || fields[META].type != TK_JSON_OBJECT ||
        fields[META].raw.len > PRESENCE_META_MAX)
        return TK_EINVAL;
    record->is_kept = kept != 0;
    record->meta = fields[META].raw;
    return TK_OK;
}

static void write_list(struct tk_buf *out, const struct tk_slice *items, size_t count,
                       const char *quote)
{
    tk_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            tk_buf_append_char(out, ',');
        tk_buf_append_str(out, quote);
        tk_buf_append_slice(out, items[i]);
        tk_buf_append_str(out, quote);
    }
    tk_buf_append_char(out, ']');
}

void presence_wire_delta(struct tk_buf *out, struct tk_slice node, uint64_t prev, uint64_t seq,
                         const struct tk_slice *entries, size_t entry_count,
                         const struct tk_slice *leaves, size_t leave_count)
{
    tk_buf_append_char(out, '[');
    tk_json_write_string(out, node);
    tk_buf_appendf(out, ",%" PRIu64 ",%" PRIu64 ",", prev, seq);
    write_list(out, entries, entry_count, "");
    tk_buf_append_char(out, ',');
    write_list(out, leaves, leave_count, "\"");
    tk_buf_append_char(out, ']');
}

static enum tk_err parse_joins(struct tk_slice text, struct presence_delta *delta)
{
    struct tk_json_value items[PRESENCE_DELTA_MAX];
    if (tk_json_scan_array(text, &rules, items, PRESENCE_DELTA_MAX, &delta->join_count) ||
        delta->join_count > PRESENCE_DELTA_MAX)
        return TK_EINVAL;
    for (size_t i = 0; i < delta->join_count; i++)
        if (presence_wire_parse_entry(items[i].raw, &delta->stamps[i], &delta->joins[i]))
            return TK_EINVAL;
    return TK_OK;
}

static enum tk_err parse_leaves(struct tk_slice text, struct presence_delta *delta)
{
    struct tk_json_value items[PRESENCE_DELTA_MAX];
    if (tk_json_scan_array(text, &rules, items, PRESENCE_DELTA_MAX, &delta->leave_count) ||
        delta->leave_count > PRESENCE_DELTA_MAX)
        return TK_EINVAL;
    for (size_t i = 0; i < delta->leave_count; i++)
        if (parse_ref(&items[i], &delta->leaves[i]))
            return TK_EINVAL;
    return TK_OK;
}

enum tk_err presence_wire_parse_delta(struct tk_slice text, struct presence_delta *delta)
{
    enum { NODE, PREV, SEQ, JOINS, LEAVES, FIELDS };
    struct tk_json_value fields[FIELDS];
    size_t count;
    if (tk_json_scan_array(text, &rules, fields, FIELDS, &count) || count < FIELDS ||
        fields[NODE].type != TK_JSON_STRING || fields[NODE].raw.len > PRESENCE_NODE_MAX ||
        parse_number(&fields[PREV], &delta->prev) || parse_number(&fields[SEQ], &delta->seq) ||
        delta->seq == 0 || delta->prev > delta->seq || fields[JOINS].type != TK_JSON_ARRAY ||
        fields[LEAVES].type != TK_JSON_ARRAY || parse_joins(fields[JOINS].raw, delta) ||
        parse_leaves(fields[LEAVES].raw, delta))
        return TK_EINVAL;
    tk_buf_clear(&delta->scratch);
    delta->node = tk_json_string_text(&fields[NODE], &delta->scratch);
    return TK_OK;
}
