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

void tk_buf_grow(struct tk_buf *b, size_t extra)
{
    size_t cap = b->cap < MIN_CAP ? MIN_CAP : b->cap;

    tk_assert(extra <= SIZE_MAX / 2 - b->len);
    while (cap < b->len + extra)
        cap *= 2;
    b->data = tk_xrealloc(b->data, cap);
    b->cap = cap;
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
