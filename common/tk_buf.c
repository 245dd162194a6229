/* SPDX-License-Identifier: MIT */
/* The growing byte buffer: len <= cap always, and capacity doubles, so appending is linear. */
#include "common/tk_buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MIN_CAP 64

void tk_buf_fini(struct tk_buf *b)
{
    free(b->data);
    *b = (struct tk_buf){0};
}

static void grow(struct tk_buf *b, size_t need)
{
    size_t cap = b->cap < MIN_CAP ? MIN_CAP : b->cap;

    while (cap < need) {
        tk_assert(cap <= SIZE_MAX / 2);
        cap *= 2;
    }
    b->data = tk_xrealloc(b->data, cap);
    b->cap = cap;
}

char *tk_buf_reserve(struct tk_buf *b, size_t extra)
{
    tk_assert(extra <= SIZE_MAX - b->len);
    if (b->data == NULL || b->cap - b->len < extra)
        grow(b, b->len + extra);
    return b->data + b->len;
}

void tk_buf_append(struct tk_buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(tk_buf_reserve(b, len), data, len);
    b->len += len;
}

void tk_buf_append_slice(struct tk_buf *b, struct tk_slice s)
{
    tk_buf_append(b, s.ptr, s.len);
}

void tk_buf_append_str(struct tk_buf *b, const char *str)
{
    tk_buf_append(b, str, strlen(str));
}

void tk_buf_append_char(struct tk_buf *b, char c)
{
    *tk_buf_reserve(b, 1) = c;
    b->len++;
}

void tk_buf_appendf(struct tk_buf *b, const char *fmt, ...)
{
    va_list args, again;

    tk_buf_reserve(b, MIN_CAP);
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
    tk_assert(len >= 0);
    if ((size_t)len >= b->cap - b->len) {
        tk_buf_reserve(b, (size_t)len + 1);
        len = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
        tk_assert(len >= 0);
    }
    va_end(again);
    va_end(args);
    b->len += (size_t)len;
}

void tk_buf_consume(struct tk_buf *b, size_t len)
{
    tk_assert(len <= b->len);
    b->len -= len;
    if (len > 0 && b->len > 0)
        memmove(b->data, b->data + len, b->len);
}

const char *tk_buf_str(struct tk_buf *b)
{
    *tk_buf_reserve(b, 1) = '\0';
    return b->data;
}
