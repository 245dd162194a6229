/* SPDX-License-Identifier: MIT */
/*
 * What every file of tako may assume: the error type, byte ranges, allocation for sizes we choose
 * ourselves, and asserts that stay on in production.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TK_MUST_CHECK       __attribute__((warn_unused_result))
#define TK_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define TK_ARRAY_LEN(a)     (sizeof(a) / sizeof((a)[0]))

/* Zero is success, so `if (err)` reads as one expects. */
enum tk_err {
    TK_OK = 0,
    TK_EINVAL,  /* the input breaks a rule */
    TK_ESYNTAX, /* the input does not parse */
    TK_ENOTFOUND,
    TK_EEXISTS,
    TK_ELIMIT,   /* a size, count or rate limit of ours */
    TK_EDENIED,  /* not allowed for this caller */
    TK_EUNAVAIL, /* a service we depend on is away; trying again later may work */
    TK_ETIMEOUT,
    TK_EIO, /* the operating system or a library failed */
};

/* A constant lower-case phrase, for log lines. */
const char *tk_strerror(enum tk_err err);

/* A borrowed range of bytes, not terminated. ptr may be NULL when len is 0. */
struct tk_slice {
    const char *ptr;
    size_t len;
};

#define TK_SLICE_INIT(literal)                                                                     \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define TK_SLICE(literal) ((struct tk_slice)TK_SLICE_INIT(literal))

static inline struct tk_slice tk_slice(const char *ptr, size_t len)
{
    return (struct tk_slice){ptr, len};
}

static inline struct tk_slice tk_slice_str(const char *str)
{
    return (struct tk_slice){str, strlen(str)};
}

static inline bool tk_slice_eq(struct tk_slice a, struct tk_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool tk_slice_eq_str(struct tk_slice a, const char *str)
{
    return tk_slice_eq(a, tk_slice_str(str));
}

/* The order of their bytes, a prefix first: below, equal to or above 0. */
int tk_slice_compare(struct tk_slice a, struct tk_slice b);

/* Allocation of sizes we choose: abort when memory is gone. Sizes a peer chooses are checked first.
 */
void *tk_xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *tk_xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *tk_xrealloc(void *ptr, size_t size) __attribute__((returns_nonnull));
char *tk_xstrdup(const char *str) __attribute__((malloc, returns_nonnull));
char *tk_xstrndup(const char *ptr, size_t len) __attribute__((malloc, returns_nonnull));
char *tk_xasprintf(const char *fmt, ...) TK_PRINTF(1, 2) __attribute__((malloc, returns_nonnull));

/* For our own mistakes only, never for input. Stays on in production; no side effects in cond. */
#define tk_assert(cond) ((cond) ? (void)0 : tk_assert_failed(#cond, __FILE__, __LINE__))
void tk_assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

/* The object that holds this member. */
#define tk_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
