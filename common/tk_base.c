/* SPDX-License-Identifier: MIT */
/* Allocation that cannot fail and asserts that stay on: both end the process with one log line. */
#include "common/tk_base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/tk_log.h"

const char *tk_strerror(enum tk_err err)
{
    switch (err) {
    case TK_OK:
        return "ok";
    case TK_EINVAL:
        return "invalid value";
    case TK_ESYNTAX:
        return "syntax error";
    case TK_ENOTFOUND:
        return "not found";
    case TK_EEXISTS:
        return "exists already";
    case TK_ELIMIT:
        return "limit exceeded";
    case TK_EDENIED:
        return "not allowed";
    case TK_EUNAVAIL:
        return "service unavailable";
    case TK_ETIMEOUT:
        return "timed out";
    case TK_EIO:
        return "input/output error";
    }
    return "unknown error";
}

int tk_slice_compare(struct tk_slice a, struct tk_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static void *check_allocated(void *ptr, size_t size)
{
    if (ptr == NULL) {
        tk_log_error("out of memory bytes=%zu", size);
        abort();
    }
    return ptr;
}

/* malloc(0) may give NULL, which would look like failure. */
static size_t at_least_one(size_t size)
{
    return size > 0 ? size : 1;
}

void *tk_xmalloc(size_t size)
{
    return check_allocated(malloc(at_least_one(size)), size);
}

void *tk_xcalloc(size_t count, size_t size)
{
    return check_allocated(calloc(at_least_one(count), at_least_one(size)), size);
}

void *tk_xrealloc(void *ptr, size_t size)
{
    return check_allocated(realloc(ptr, at_least_one(size)), size);
}

char *tk_xstrdup(const char *str)
{
    return tk_xstrndup(str, strlen(str));
}

char *tk_xstrndup(const char *ptr, size_t len)
{
    char *copy = tk_xmalloc(len + 1);
    if (len > 0)
        memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}

char *tk_xasprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return check_allocated(len < 0 ? NULL : text, 0);
}

void tk_assert_failed(const char *cond, const char *file, int line)
{
    tk_log_error("assertion failed cond=\"%s\" at=%s:%d", cond, file, line);
    abort();
}
