/* SPDX-License-Identifier: MIT */
/*
 * Log lines to stderr: each is built in one bounded buffer and leaves in one write(2), so lines of
 * several processes on one pipe never mix, and whatever a message holds it stays one line.
 * The level and the prefix belong to the process; this is the only state.
 */
#include "common/tk_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/tk_hex.h"

#define LINE_MAX_BYTES 2048
#define CUT_MARK       "..."
#define ONCE_PER_MS    60000

static const struct {
    const char *name;
    int priority; /* of syslog, for the journal */
} levels[] = {
    [TK_LOG_ERROR] = {"error", 3},
    [TK_LOG_WARN] = {"warn", 4},
    [TK_LOG_INFO] = {"info", 6},
    [TK_LOG_DEBUG] = {"debug", 7},
};

static struct {
    enum tk_log_level level;
    bool to_journal;
    char prefix[128];
} state = {.level = TK_LOG_INFO};

/* JOURNAL_STREAM is "device:inode" of the stderr that systemd made; a redirected one differs. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void tk_log_init(enum tk_log_level level, const char *prefix)
{
    state.level = level;
    state.to_journal = stderr_is_journal();
    snprintf(state.prefix, sizeof(state.prefix), "%s", prefix != NULL ? prefix : "");
}

bool tk_log_enabled(enum tk_log_level level)
{
    return level <= state.level;
}

enum tk_err tk_log_level_parse(const char *name, enum tk_log_level *level)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(levels); i++) {
        if (strcmp(name, levels[i].name) == 0) {
            *level = (enum tk_log_level)i;
            return TK_OK;
        }
    }
    return TK_EINVAL;
}

static size_t write_head(enum tk_log_level level, char *line, size_t size)
{
    char stamp[40] = "";

    if (state.to_journal) {
        snprintf(stamp, sizeof(stamp), "<%d>", levels[level].priority);
    } else {
        struct timespec now;
        struct tm utc;

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        size_t len = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(stamp + len, sizeof(stamp) - len, ".%03dZ ", (int)(now.tv_nsec / 1000000));
    }
    int len = snprintf(line, size, "%s%s %s%s", stamp, levels[level].name, state.prefix,
                       state.prefix[0] != '\0' ? " " : "");
    return len > 0 ? (size_t)len : 0;
}

/* Library messages come with line ends, at their end and within. */
static size_t make_one_line(char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            text[i] = ' ';
    }
    return len;
}

void tk_log_write(enum tk_log_level level, const char *fmt, ...)
{
    if (!tk_log_enabled(level))
        return;

    int saved_errno = errno;
    char line[LINE_MAX_BYTES];
    size_t head = write_head(level, line, sizeof(line) / 2);
    size_t room = sizeof(line) - head;
    va_list args;

    va_start(args, fmt);
    int wanted = vsnprintf(line + head, room, fmt, args);
    va_end(args);

    size_t len = wanted > 0 ? (size_t)wanted : 0;
    if (len >= room) {
        len = room - 1;
        memcpy(line + head + len - strlen(CUT_MARK), CUT_MARK, sizeof(CUT_MARK));
    }
    len = head + make_one_line(line + head, len);
    line[len++] = '\n';
    /* A log that cannot be written has nowhere to complain. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
    errno = saved_errno;
}

static bool is_safe(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\';
}

const char *tk_escape(struct tk_escaped *out, struct tk_slice bytes)
{
    const size_t limit = sizeof(out->text) - sizeof(CUT_MARK); /* the mark always fits behind */
    size_t len = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (len + (is_safe(c) ? 1 : 4) > limit) {
            memcpy(out->text + len, CUT_MARK, strlen(CUT_MARK));
            len += strlen(CUT_MARK);
            break;
        }
        if (is_safe(c)) {
            out->text[len++] = (char)c;
        } else {
            out->text[len++] = '\\';
            out->text[len++] = 'x';
            out->text[len++] = tk_hex_digit(c >> 4U);
            out->text[len++] = tk_hex_digit(c);
        }
    }
    out->text[len] = '\0';
    return out->text;
}

bool tk_log_allow(struct tk_log_limit *limit, uint64_t now_ms, uint64_t *suppressed)
{
    if (now_ms < limit->next_ms) {
        limit->suppressed++;
        return false;
    }
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next_ms = now_ms + ONCE_PER_MS;
    return true;
}
