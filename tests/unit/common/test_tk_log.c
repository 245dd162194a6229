/* SPDX-License-Identifier: MIT */
/* Log lines as they leave on stderr, which each test replaces by a file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tk_log.h"

struct capture {
    FILE *file;
    int saved_stderr;
    char text[8192];
};

static void capture_start(struct capture *c)
{
    c->file = tmpfile();
    assert_non_null(c->file);
    c->saved_stderr = dup(STDERR_FILENO);
    assert_true(c->saved_stderr >= 0);
    assert_int_equal(dup2(fileno(c->file), STDERR_FILENO), STDERR_FILENO);
}

static const char *capture_end(struct capture *c)
{
    assert_int_equal(dup2(c->saved_stderr, STDERR_FILENO), STDERR_FILENO);
    close(c->saved_stderr);
    rewind(c->file);
    size_t len = fread(c->text, 1, sizeof(c->text) - 1, c->file);
    c->text[len] = '\0';
    fclose(c->file);
    return c->text;
}

/* Behind "2026-01-31T12:00:00.000Z ", after a look at its form. */
static const char *behind_time(const char *line)
{
    static const char form[] = "0000-00-00T00:00:00.000Z ";

    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == '0')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
    }
    return line + sizeof(form) - 1;
}

static void a_line_has_time_level_prefix_and_message(void **state)
{
    struct capture c;

    capture_start(&c);
    tk_log_init(TK_LOG_INFO, "broker worker=1");
    tk_log_warn("queue full id=%d", 7);
    assert_string_equal(behind_time(capture_end(&c)), "warn broker worker=1 queue full id=7\n");
}

static void without_a_prefix_the_message_follows_the_level(void **state)
{
    struct capture c;

    capture_start(&c);
    tk_log_init(TK_LOG_INFO, NULL);
    tk_log_error("down");
    assert_string_equal(behind_time(capture_end(&c)), "error down\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    struct capture c;

    capture_start(&c);
    tk_log_init(TK_LOG_WARN, NULL);
    tk_log_info("not this");
    tk_log_debug("nor this");
    assert_string_equal(capture_end(&c), "");
    assert_true(tk_log_enabled(TK_LOG_ERROR));
    assert_true(tk_log_enabled(TK_LOG_WARN));
    assert_false(tk_log_enabled(TK_LOG_INFO));
}

/* Library messages (libpq's, for one) have several lines. */
static void a_message_stays_one_line(void **state)
{
    struct capture c;

    capture_start(&c);
    tk_log_init(TK_LOG_INFO, NULL);
    tk_log_error("why=%s", "one\n\ttwo\x1b[31m\r\n");
    assert_string_equal(behind_time(capture_end(&c)), "error why=one  two [31m\n");
}

static void a_long_line_is_cut(void **state)
{
    struct capture c;
    char longer[5000];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    capture_start(&c);
    tk_log_init(TK_LOG_INFO, NULL);
    tk_log_error("%s", longer);
    const char *line = capture_end(&c);
    size_t len = strlen(line);
    assert_int_equal(len, 2048);
    assert_string_equal(line + len - 5, "x...\n");
}

static void errno_survives_a_line(void **state)
{
    struct capture c;

    capture_start(&c);
    tk_log_init(TK_LOG_INFO, NULL);
    close(STDERR_FILENO); /* so that the write fails */
    errno = ENOENT;
    tk_log_error("lost");
    int after = errno;
    capture_end(&c);
    assert_int_equal(after, ENOENT);
}

static void the_journal_gets_a_priority_in_place_of_the_time(void **state)
{
    struct capture c;
    struct stat st;
    char stream[64];

    capture_start(&c);
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    tk_log_init(TK_LOG_INFO, "api");
    tk_log_warn("slow");
    assert_string_equal(capture_end(&c), "<4>warn api slow\n");
}

/* systemd's variable is inherited also by a program whose stderr was redirected. */
static void a_redirected_stderr_is_not_the_journal(void **state)
{
    struct capture c;

    setenv("JOURNAL_STREAM", "1:1", 1);
    capture_start(&c);
    tk_log_init(TK_LOG_INFO, NULL);
    tk_log_info("up");
    assert_string_equal(behind_time(capture_end(&c)), "info up\n");
}

static int unset_journal(void **state)
{
    return unsetenv("JOURNAL_STREAM");
}

static void level_names_are_parsed(void **state)
{
    enum tk_log_level level;

    assert_int_equal(tk_log_level_parse("debug", &level), TK_OK);
    assert_int_equal(level, TK_LOG_DEBUG);
    assert_int_equal(tk_log_level_parse("error", &level), TK_OK);
    assert_int_equal(level, TK_LOG_ERROR);
    assert_int_equal(tk_log_level_parse("INFO", &level), TK_EINVAL);
    assert_int_equal(tk_log_level_parse("", &level), TK_EINVAL);
}

/* A topic "x admin=1" must not look like a second key. */
static void peer_bytes_are_escaped(void **state)
{
    assert_string_equal(TK_ESCAPE(TK_SLICE("room:a-z_0/~!")), "room:a-z_0/~!");
    assert_string_equal(TK_ESCAPE(TK_SLICE("x admin=1")), "x\\x20admin=1");
    assert_string_equal(TK_ESCAPE(TK_SLICE("a\0\n\x1b\x7f\"\\\xC3\xA9")),
                        "a\\x00\\x0a\\x1b\\x7f\\x22\\x5c\\xc3\\xa9");
    assert_string_equal(TK_ESCAPE(tk_slice(NULL, 0)), "");
}

static void long_peer_bytes_are_cut_within_the_bound(void **state)
{
    char bytes[400];

    for (size_t plain = 0; plain < 140; plain++) {
        struct tk_escaped out;
        memset(bytes, 'a', sizeof(bytes));
        memset(bytes + plain, '\n', sizeof(bytes) - plain);
        const char *text = tk_escape(&out, tk_slice(bytes, sizeof(bytes)));
        size_t len = strlen(text);
        assert_in_range(len, 120, sizeof(out.text) - 1);
        assert_string_equal(text + len - 3, "...");
    }
}

static void a_limited_line_comes_once_a_minute(void **state)
{
    struct tk_log_limit limit = {0};
    uint64_t suppressed = 99;

    assert_true(tk_log_allow(&limit, 1000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(tk_log_allow(&limit, 1001, &suppressed));
    assert_false(tk_log_allow(&limit, 60999, &suppressed));
    assert_true(tk_log_allow(&limit, 61000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_false(tk_log_allow(&limit, 120999, &suppressed));
    assert_true(tk_log_allow(&limit, 500000, &suppressed));
    assert_int_equal(suppressed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_prefix_and_message),
        cmocka_unit_test(without_a_prefix_the_message_follows_the_level),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_message_stays_one_line),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(errno_survives_a_line),
        cmocka_unit_test_teardown(the_journal_gets_a_priority_in_place_of_the_time, unset_journal),
        cmocka_unit_test_teardown(a_redirected_stderr_is_not_the_journal, unset_journal),
        cmocka_unit_test(level_names_are_parsed),
        cmocka_unit_test(peer_bytes_are_escaped),
        cmocka_unit_test(long_peer_bytes_are_cut_within_the_bound),
        cmocka_unit_test(a_limited_line_comes_once_a_minute),
    };
    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
