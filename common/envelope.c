/* SPDX-License-Identifier: MIT */
/* Writing and reading what travels over Redis. What is read may come from anybody (C174). */
#include "common/envelope.h"

#include <errno.h>
#include <stdlib.h>

#include "common/tk_json.h"

static const char *const event_names[] = {
    [TK_USER_CREATED] = "created",
    [TK_USER_UPDATED] = "updated",
    [TK_USER_DELETED] = "deleted",
    [TK_USER_DISCONNECT] = "disconnect",
};

static void write_string_or_null(struct tk_buf *out, struct tk_slice text)
{
    if (text.ptr != NULL)
        tk_json_write_string(out, text);
    else
        tk_buf_append_str(out, "null");
}

void tk_envelope_write(struct tk_buf *out, const char *origin, const char *id,
                       struct tk_slice topic, struct tk_slice event, struct tk_slice payload)
{
    tk_buf_append_char(out, '[');
    write_string_or_null(out, origin != NULL ? tk_slice_str(origin) : tk_slice(NULL, 0));
    tk_buf_append_char(out, ',');
    write_string_or_null(out, id != NULL ? tk_slice_str(id) : tk_slice(NULL, 0));
    tk_buf_append_char(out, ',');
    tk_json_write_string(out, topic);
    tk_buf_append_char(out, ',');
    tk_json_write_string(out, event);
    tk_buf_append_char(out, ',');
    tk_buf_append_slice(out, payload);
    tk_buf_append_char(out, ']');
}

void tk_envelope_write_binary(struct tk_buf *out, const char *origin, const char *id,
                              struct tk_slice topic, struct tk_slice event, struct tk_slice payload)
{
    const struct tk_slice parts[] = {tk_slice_str(origin != NULL ? origin : ""),
                                     tk_slice_str(id != NULL ? id : ""), topic, event};

    tk_buf_append_char(out, '\0'); /* kind 0, a push */
    for (size_t i = 0; i < TK_ARRAY_LEN(parts); i++) {
        tk_assert(parts[i].len <= UINT8_MAX);
        tk_buf_append_char(out, (char)parts[i].len);
    }
    for (size_t i = 0; i < TK_ARRAY_LEN(parts); i++)
        tk_buf_append_slice(out, parts[i]);
    tk_buf_append_slice(out, payload);
}

static bool carries_attributes(enum tk_user_event_kind kind)
{
    return kind == TK_USER_CREATED || kind == TK_USER_UPDATED;
}

void tk_user_event_write(struct tk_buf *out, const struct tk_user_event *event)
{
    char id[TK_UUID_LEN + 1];

    tk_buf_appendf(out, "{\"event\":\"%s\",\"id\":\"%s\"", event_names[event->kind],
                   tk_uuid_format(&event->id, id));
    if (carries_attributes(event->kind)) {
        tk_buf_append_str(out, ",\"nickname\":");
        write_string_or_null(out, event->nickname);
        if (event->has_stamps)
            tk_buf_appendf(out, ",\"stamps_collected\":%lld", (long long)event->stamps_collected);
        else
            tk_buf_append_str(out, ",\"stamps_collected\":null");
    }
    tk_buf_append_char(out, '}');
}

static bool is_absent_or_null(const struct tk_json_value *value)
{
    return value->type == TK_JSON_NONE || value->type == TK_JSON_NULL;
}

static enum tk_err read_kind(const struct tk_json_value *value, struct tk_buf *scratch,
                             enum tk_user_event_kind *kind)
{
    if (value->type != TK_JSON_STRING)
        return TK_EINVAL;
    struct tk_slice name = tk_json_string_text(value, scratch);
    for (size_t i = 0; i < TK_ARRAY_LEN(event_names); i++) {
        if (tk_slice_eq_str(name, event_names[i])) {
            *kind = (enum tk_user_event_kind)i;
            return TK_OK;
        }
    }
    return TK_EINVAL;
}

static enum tk_err read_id(const struct tk_json_value *value, struct tk_buf *scratch,
                           struct tk_uuid *id)
{
    if (value->type != TK_JSON_STRING)
        return TK_EINVAL;
    return tk_uuid_parse(tk_json_string_text(value, scratch), id);
}

static enum tk_err read_nickname(const struct tk_json_value *value, struct tk_buf *scratch,
                                 struct tk_slice *nickname)
{
    if (is_absent_or_null(value))
        return TK_OK;
    if (value->type != TK_JSON_STRING)
        return TK_EINVAL;
    *nickname = tk_json_string_text(value, scratch);
    return TK_OK;
}

/* A whole number within int64_t; 1.0 and 1e3 are nothing that tako writes. */
static enum tk_err read_stamps(const struct tk_json_value *value, struct tk_user_event *event)
{
    char digits[24]; /* -9223372036854775808 has 20 */
    char *end;

    if (is_absent_or_null(value))
        return TK_OK;
    if (value->type != TK_JSON_NUMBER || value->raw.len >= sizeof(digits))
        return TK_EINVAL;
    memcpy(digits, value->raw.ptr, value->raw.len);
    digits[value->raw.len] = '\0';
    errno = 0;
    event->stamps_collected = strtoll(digits, &end, 10);
    if (errno == ERANGE || *end != '\0')
        return TK_EINVAL;
    event->has_stamps = true;
    return TK_OK;
}

enum tk_err tk_user_event_parse(struct tk_slice text, struct tk_buf *scratch,
                                struct tk_user_event *event)
{
    static const struct tk_json_rules rules = {.max_depth = 32};
    enum { KIND, ID, NICKNAME, STAMPS };
    struct tk_json_field fields[] = {
        [KIND] = {.name = "event"},
        [ID] = {.name = "id"},
        [NICKNAME] = {.name = "nickname"},
        [STAMPS] = {.name = "stamps_collected"},
    };
    struct tk_user_event parsed = {0};

    if (text.len > TK_USER_EVENT_MAX)
        return TK_EINVAL;
    enum tk_err err = tk_json_scan_object(text, &rules, fields, TK_ARRAY_LEN(fields));
    if (err)
        return err == TK_ESYNTAX ? err : TK_EINVAL;

    tk_buf_clear(scratch);
    tk_buf_reserve(scratch, text.len);
    err = read_kind(&fields[KIND].value, scratch, &parsed.kind);
    if (!err)
        err = read_id(&fields[ID].value, scratch, &parsed.id);
    if (!err && carries_attributes(parsed.kind))
        err = read_nickname(&fields[NICKNAME].value, scratch, &parsed.nickname);
    if (!err && carries_attributes(parsed.kind))
        err = read_stamps(&fields[STAMPS].value, &parsed);
    if (!err)
        *event = parsed;
    return err;
}
