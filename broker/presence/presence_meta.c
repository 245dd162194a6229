/* SPDX-License-Identifier: MIT */
/*
 * Metas are text from the first to the last: what a client sent is validated once, walked member by
 * member, and copied. No line break or other control character is ever in one.
 */
#include "broker/presence/presence_meta.h"

#include <inttypes.h>
#include <sys/random.h>

#include "common/tk_json.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void presence_refs_init(struct presence_refs *refs)
{
    *refs = (struct presence_refs){0};
    ssize_t n = getrandom(refs->process, sizeof(refs->process), 0);
    tk_assert(n == (ssize_t)sizeof(refs->process));
}

char *presence_refs_next(struct presence_refs *refs, char out[PRESENCE_REF_LEN + 1])
{
    uint8_t bytes[12];
    memcpy(bytes, refs->process, sizeof(refs->process));
    refs->counter++;
    for (int i = 0; i < 6; i++)
        bytes[6 + i] = (uint8_t)(refs->counter >> 8 * (5 - i));
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *three = bytes + 3 * i;
        uint32_t bits = (uint32_t)three[0] << 16 | (uint32_t)three[1] << 8 | three[2];
        for (size_t j = 0; j < 4; j++)
            out[4 * i + j] = base64[bits >> 6 * (3 - j) & 63];
    }
    out[PRESENCE_REF_LEN] = '\0';
    return out;
}

static bool is_base64(struct tk_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

bool presence_ref_is_valid(struct tk_slice ref)
{
    return ref.len == PRESENCE_REF_LEN && is_base64(ref);
}

static bool is_one_of(struct tk_slice name, const char *const *names)
{
    for (; *names; names++)
        if (tk_slice_eq_str(name, *names))
            return true;
    return false;
}

/* Clients before 1.8.9 use presence keys as keys of plain objects (CVE-2026-56812). */
static bool is_prototype_member(struct tk_slice name)
{
    static const char *const names[] = {
        "__proto__",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "toLocaleString",
        "toString",
        "valueOf",
        "propertyIsEnumerable",
        NULL,
    };
    return is_one_of(name, names);
}

bool presence_key_is_valid(struct tk_slice key)
{
    return key.len > 0 && key.len <= PRESENCE_KEY_MAX && is_base64(key) &&
           !is_prototype_member(key);
}

static bool is_server_owned(struct tk_slice name)
{
    static const char *const names[] = {"phx_ref", "phx_ref_prev", "nickname", "online_at", NULL};
    return is_one_of(name, names);
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    return p;
}

/* p is at the opening quote of a valid string; returns what is behind the closing one. */
static const char *skip_string(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

/* p is at a valid value inside an object; returns its end: a comma, a brace or a blank. */
static const char *skip_value(const char *p)
{
    int depth = 0;
    for (;;) {
        if (*p == '"') {
            p = skip_string(p);
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p;
            depth--;
            p++;
        } else if (depth == 0 && (*p == ',' || skip_blanks(p) != p)) {
            return p;
        } else {
            p++;
            continue;
        }
        if (depth == 0)
            return p;
    }
}

struct member {
    struct tk_slice name; /* with its quotes */
    struct tk_slice value;
};

/* p is behind the brace or the comma before a member of a valid object; returns what follows. */
static const char *read_member(const char *p, struct member *m)
{
    p = skip_blanks(p);
    const char *end = skip_string(p);
    m->name = tk_slice(p, (size_t)(end - p));
    p = skip_blanks(end);
    p = skip_blanks(p + 1); /* the colon */
    end = skip_value(p);
    m->value = tk_slice(p, (size_t)(end - p));
    return skip_blanks(end);
}

/* Line breaks and tabs between tokens are the only control characters that JSON allows. */
static void append_on_one_line(struct tk_buf *out, struct tk_slice text)
{
    char *to = tk_buf_reserve(out, text.len);
    memcpy(to, text.ptr, text.len);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)to[i] < ' ')
            to[i] = ' ';
    out->len += text.len;
}

static enum tk_err take_member(const struct member *m, bool *is_first, struct tk_buf *scratch,
                               struct tk_buf *out)
{
    struct tk_json_value string = {
        .type = TK_JSON_STRING,
        .has_escapes = memchr(m->name.ptr, '\\', m->name.len) != NULL,
        .raw = m->name,
    };
    tk_buf_clear(scratch);
    struct tk_slice name = tk_json_string_text(&string, scratch);
    if (is_prototype_member(name))
        return TK_EINVAL;
    if (is_server_owned(name))
        return TK_OK;
    if (!*is_first)
        tk_buf_append_char(out, ',');
    *is_first = false;
    tk_buf_append_slice(out, m->name);
    tk_buf_append_char(out, ':');
    append_on_one_line(out, m->value);
    return TK_OK;
}

/* object is valid JSON. */
static enum tk_err take_members(struct tk_slice object, struct tk_buf *out)
{
    struct tk_buf scratch = {0};
    bool is_first = true;
    enum tk_err err = TK_OK;
    const char *p = skip_blanks(object.ptr + 1);
    while (!err && *p != '}') {
        struct member m;
        p = read_member(p, &m);
        if (*p == ',')
            p++;
        err = take_member(&m, &is_first, &scratch, out);
    }
    tk_buf_fini(&scratch);
    return err;
}

enum tk_err presence_meta_take(struct tk_slice object, size_t max, struct tk_buf *out)
{
    static const struct tk_json_rules rules = {.max_depth = 64};
    struct tk_json_value value;
    size_t len_before = out->len;
    if (object.len > max)
        return TK_ELIMIT;
    if (tk_json_scan(object, &rules, &value, NULL) || value.type != TK_JSON_OBJECT)
        return TK_EINVAL;
    enum tk_err err = take_members(value.raw, out);
    if (err)
        out->len = len_before;
    return err;
}

void presence_meta_write(struct tk_buf *out, const struct presence_meta *meta)
{
    tk_buf_append_str(out, "{\"phx_ref\":\"");
    tk_buf_append_slice(out, meta->ref);
    if (meta->ref_prev.len > 0) {
        tk_buf_append_str(out, "\",\"phx_ref_prev\":\"");
        tk_buf_append_slice(out, meta->ref_prev);
    }
    tk_buf_append_str(out, "\",\"nickname\":");
    if (meta->nickname.ptr)
        tk_json_write_string(out, meta->nickname);
    else
        tk_buf_append_str(out, "null");
    tk_buf_appendf(out, ",\"online_at\":%" PRIu64, meta->online_at);
    if (meta->client.len > 0) {
        tk_buf_append_char(out, ',');
        tk_buf_append_slice(out, meta->client);
    }
    tk_buf_append_char(out, '}');
}
