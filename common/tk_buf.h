/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_base.h"

/*
 * A growing byte buffer. Zero-initialised is empty and valid; tk_buf_fini gives the memory back.
 * Growth is for sizes that our own limits bound already, so running out of memory aborts.
 */
struct tk_buf {
    char *data;
    size_t len;
    size_t cap;
};

void tk_buf_fini(struct tk_buf *b);

/* Empties the buffer and keeps its memory. */
static inline void tk_buf_clear(struct tk_buf *b)
{
    b->len = 0;
}

void tk_buf_grow(struct tk_buf *b, size_t extra);

/* Room for extra bytes behind len; returns where they go. The caller adds to len what it wrote. */
static inline char *tk_buf_reserve(struct tk_buf *b, size_t extra)
{
    if (b->data == NULL || b->cap - b->len < extra)
        tk_buf_grow(b, extra);
    return b->data + b->len;
}

static inline void tk_buf_append(struct tk_buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(tk_buf_reserve(b, len), data, len);
    b->len += len;
}

static inline void tk_buf_append_slice(struct tk_buf *b, struct tk_slice s)
{
    tk_buf_append(b, s.ptr, s.len);
}

static inline void tk_buf_append_str(struct tk_buf *b, const char *str)
{
    tk_buf_append(b, str, strlen(str));
}

static inline void tk_buf_append_char(struct tk_buf *b, char c)
{
    *tk_buf_reserve(b, 1) = c;
    b->len++;
}

void tk_buf_appendf(struct tk_buf *b, const char *fmt, ...) TK_PRINTF(2, 3);

/* Drops len bytes from the front; len must not exceed what is there. */
void tk_buf_consume(struct tk_buf *b, size_t len);

/* The content as a string: terminated, the terminator not counted in len. Valid until the next
 * change. */
const char *tk_buf_str(struct tk_buf *b);

static inline struct tk_slice tk_buf_slice(const struct tk_buf *b)
{
    return tk_slice(b->data, b->len);
}
