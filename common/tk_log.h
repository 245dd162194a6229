/* SPDX-License-Identifier: MIT */
/*
 * Log lines: stderr, one line each of at most 2 KiB, `level key=value ...`. In front stands a UTC
 * time stamp, or, when stderr is the journal's (JOURNAL_STREAM), the priority that `journalctl -p`
 * selects by. Control characters in a message become blanks, errno is kept. error needs an
 * operator, warn lost something, info is one line per life event, debug may hold payloads. Never a
 * token, and of a user's UUID at most the first eight digits (tk_uuid_short).
 */
#pragma once

#include "common/tk_base.h"

enum tk_log_level { TK_LOG_ERROR, TK_LOG_WARN, TK_LOG_INFO, TK_LOG_DEBUG };

/* prefix (copied, may be NULL) stands in front of every line of this process: "broker worker=1". */
void tk_log_init(enum tk_log_level level, const char *prefix);
bool tk_log_enabled(enum tk_log_level level);
enum tk_err tk_log_level_parse(const char *name, enum tk_log_level *level) TK_MUST_CHECK;

void tk_log_write(enum tk_log_level level, const char *fmt, ...) TK_PRINTF(2, 3);

#define tk_log_error(...) tk_log_write(TK_LOG_ERROR, __VA_ARGS__)
#define tk_log_warn(...)  tk_log_write(TK_LOG_WARN, __VA_ARGS__)
#define tk_log_info(...)  tk_log_write(TK_LOG_INFO, __VA_ARGS__)
#define tk_log_debug(...)                                                                          \
    do {                                                                                           \
        if (tk_log_enabled(TK_LOG_DEBUG))                                                          \
            tk_log_write(TK_LOG_DEBUG, __VA_ARGS__);                                               \
    } while (0)

/*
 * Bytes from a peer, made safe for a log line: printable ASCII stays except blanks, quotes and
 * backslashes, so that no value can pose as another key; everything else becomes \xNN, cut with
 * "..." when long. The result points into out (returned for use as a %s argument).
 */
struct tk_escaped {
    char text[132];
};
const char *tk_escape(struct tk_escaped *out, struct tk_slice bytes);
#define TK_ESCAPE(slice) tk_escape(&(struct tk_escaped){{0}}, (slice))

/*
 * "At most once a minute" for warnings that a peer can cause at will. One per place and object,
 * zero-initialised. True when the line should be written now; *suppressed is how many were not
 * written since the last one.
 */
struct tk_log_limit {
    uint64_t next_ms;
    uint64_t suppressed;
};
bool tk_log_allow(struct tk_log_limit *limit, uint64_t now_ms, uint64_t *suppressed);
