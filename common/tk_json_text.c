/* SPDX-License-Identifier: MIT */
/* Text in JSON: strict UTF-8, decoding the strings that the scanner found, and writing strings. */
#include <endian.h>

#include "common/tk_hex.h"
#include "common/tk_json_internal.h"

/*
 * The high bit of each byte of word (first byte lowest) that is a control, a quote, a backslash or
 * not ASCII. A borrow can only set bits above a true one, so the lowest bit set is always right.
 */
static uint64_t special_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t control = word - ones * 0x20;
    uint64_t quote = (word ^ ones * '"') - ones;
    uint64_t backslash = (word ^ ones * '\\') - ones;

    return ((control | quote | backslash) | word) & ones * 0x80;
}

const char *tk_json_skip_plain(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        uint64_t special = special_bytes(le64toh(word));
        if (special != 0)
            return p + __builtin_ctzll(special) / 8;
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\')
        p++;
    return p;
}

static bool in_range(char c, unsigned low, unsigned high)
{
    unsigned char byte = (unsigned char)c;
    return byte >= low && byte <= high;
}

/*
 * Length of the sequence that begins with the non-ASCII byte at p, 0 when it is invalid. The range
 * of the second byte is what excludes overlong forms, surrogates and what lies above U+10FFFF
 * (RFC 3629, section 4).
 */
static size_t sequence_len(const char *p, const char *end)
{
    unsigned char lead = (unsigned char)*p;
    unsigned low = 0x80, high = 0xbf;
    size_t len;

    if (lead >= 0xc2 && lead <= 0xdf)
        len = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        len = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        len = 4;
    else
        return 0;

    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;

    if ((size_t)(end - p) < len || !in_range(p[1], low, high))
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (!in_range(p[i], 0x80, 0xbf))
            return 0;
    }
    return len;
}

const char *tk_utf8_skip(const char *p, const char *end)
{
    while (p < end && in_range(*p, 0x80, 0xff)) {
        size_t len = sequence_len(p, end);
        if (len == 0)
            break;
        p += len;
    }
    return p;
}

bool tk_utf8_valid(struct tk_slice text)
{
    if (text.len == 0)
        return true;

    const char *p = text.ptr, *end = text.ptr + text.len;
    while (p < end) {
        if (in_range(*p, 0x00, 0x7f)) {
            p++;
            continue;
        }
        const char *next = tk_utf8_skip(p, end);
        if (next == p)
            return false;
        p = next;
    }
    return true;
}

int tk_json_hex4(const char *p)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = tk_hex_value(p[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Decodes the escape whose backslash is at *p, known to be valid, and moves *p behind it. */
static char *put_escape(char *out, const char **p)
{
    char kind = (*p)[1];

    if (kind != 'u') {
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *found = strchr(from, kind);
        if (found != NULL)
            kind = to[found - from];
        *out++ = kind;
        *p += 2;
        return out;
    }
    unsigned code = (unsigned)tk_json_hex4(*p + 2);
    *p += 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        unsigned low = (unsigned)tk_json_hex4(*p + 2);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *p += 6;
    }
    return put_utf8(out, code);
}

void tk_json_string_decode(const struct tk_json_value *string, struct tk_buf *out)
{
    tk_assert(string->type == TK_JSON_STRING);

    const char *p = string->raw.ptr + 1, *end = string->raw.ptr + string->raw.len - 1;
    char *to = tk_buf_reserve(out, (size_t)(end - p)); /* decoding never makes longer */

    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((escape != NULL ? escape : end) - p);
        memcpy(to, p, plain);
        to += plain;
        p += plain;
        if (escape != NULL)
            to = put_escape(to, &p);
    }
    out->len = (size_t)(to - out->data);
}

struct tk_slice tk_json_string_text(const struct tk_json_value *string, struct tk_buf *scratch)
{
    tk_assert(string->type == TK_JSON_STRING);
    if (!string->has_escapes)
        return tk_slice(string->raw.ptr + 1, string->raw.len - 2);

    size_t before = scratch->len;
    tk_json_string_decode(string, scratch);
    return tk_slice(scratch->data + before, scratch->len - before);
}

static void write_escape(struct tk_buf *out, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    char text[] = {'\\', 'u', '0', '0', tk_hex_digit(c >> 4), tk_hex_digit(c)};

    if (found != NULL) {
        text[1] = to[found - from];
        tk_buf_append(out, text, 2);
    } else {
        tk_buf_append(out, text, sizeof(text));
    }
}

/* The next byte from p on that must be escaped. */
static const char *find_escaped(const char *p, const char *end)
{
    while ((p = tk_json_skip_plain(p, end)) < end && (unsigned char)*p >= 0x80)
        p++;
    return p;
}

void tk_json_write_string(struct tk_buf *out, struct tk_slice text)
{
    const char *done = text.len > 0 ? text.ptr : "";
    const char *end = done + text.len, *p;

    tk_buf_reserve(out, text.len + 2);
    tk_buf_append_char(out, '"');
    while ((p = find_escaped(done, end)) < end) {
        tk_buf_append(out, done, (size_t)(p - done));
        write_escape(out, (unsigned char)*p);
        done = p + 1;
    }
    tk_buf_append(out, done, (size_t)(end - done));
    tk_buf_append_char(out, '"');
}
