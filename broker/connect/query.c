/* SPDX-License-Identifier: MIT */
/*
 * application/x-www-form-urlencoded as C3 reads it. Keys are compared while they are decoded; only
 * a value that was asked for is copied.
 */
#include "broker/connect/upgrade.h"

#include "common/tk_hex.h"
#include "common/tk_json.h"

/* The next decoded byte at *p, which moves behind it. A malformed escape stands for itself. */
static char take_decoded(const char **p, const char *end)
{
    const char *at = *p;
    if (*at == '%' && end - at > 2) {
        int high = tk_hex_value(at[1]), low = tk_hex_value(at[2]);
        if (high >= 0 && low >= 0) {
            *p += 3;
            return (char)(high << 4 | low);
        }
    }
    *p += 1;
    if (*at == '+')
        return ' ';
    return *at;
}

static void decode(struct tk_slice encoded, struct tk_buf *out)
{
    const char *p = encoded.ptr, *end = p + encoded.len;
    char *to = tk_buf_reserve(out, encoded.len);
    while (p < end)
        *to++ = take_decoded(&p, end);
    out->len = (size_t)(to - out->data);
}

/* Up to the first separator, which is dropped; all of rest when there is none. */
static struct tk_slice take_until(struct tk_slice *rest, char separator)
{
    const char *found = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct tk_slice taken = *rest;
    if (found) {
        taken.len = (size_t)(found - rest->ptr);
        *rest = tk_slice(found + 1, rest->len - taken.len - 1);
    } else {
        *rest = tk_slice(NULL, 0);
    }
    return taken;
}

enum key_match { OTHER_KEY, SCALAR_KEY, NESTED_KEY };

/* Nested is what begins with key[ and ends with ] once decoded. */
static enum key_match match_key(struct tk_slice encoded, const char *key)
{
    const char *p = encoded.ptr, *end = p + encoded.len;
    for (; *key != '\0'; key++) {
        if (p == end || take_decoded(&p, end) != *key)
            return OTHER_KEY;
    }
    if (p == end)
        return SCALAR_KEY;
    if (take_decoded(&p, end) != '[')
        return OTHER_KEY;
    char last = '[';
    while (p < end)
        last = take_decoded(&p, end);
    return last == ']' ? NESTED_KEY : OTHER_KEY;
}

enum tk_err query_find(struct tk_slice query, const char *key, struct tk_buf *out)
{
    enum key_match found = OTHER_KEY;
    struct tk_slice found_value = {0};
    while (query.len > 0) {
        struct tk_slice value = take_until(&query, '&');
        struct tk_slice name = take_until(&value, '=');
        enum key_match match = name.len > 0 ? match_key(name, key) : OTHER_KEY;
        if (match != OTHER_KEY) {
            found = match;
            found_value = value;
        }
    }
    if (found == OTHER_KEY)
        return TK_ENOTFOUND;
    if (found == NESTED_KEY)
        return TK_EINVAL;
    if (found_value.len > 0)
        decode(found_value, out);
    return TK_OK;
}

/* Key by key or all at once is the same: no separator can be part of a multi-byte character. */
bool query_is_utf8(struct tk_slice query)
{
    if (query.len == 0 || !memchr(query.ptr, '%', query.len))
        return tk_utf8_valid(query);
    struct tk_buf decoded = {0};
    decode(query, &decoded);
    bool valid = tk_utf8_valid(tk_buf_slice(&decoded));
    tk_buf_fini(&decoded);
    return valid;
}
