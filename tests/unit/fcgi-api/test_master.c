/* SPDX-License-Identifier: MIT */
/*
 * The master with workers of our own: each test runs master_run in a child process, whose workers
 * write a byte to a pipe when they start.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"
#include "fcgi-api/master.h"

#define PATIENCE_MS 10000

static int starts[2]; /* a pipe: one pid per worker that started */
static pid_t master_pid;

static void report_start(void)
{
    pid_t pid = getpid();

    if (write(starts[1], &pid, sizeof(pid)) != sizeof(pid))
        _exit(99);
}

/* As a worker does: stop signals count only where it waits for them. */
static int wait_politely(void *arg, unsigned number)
{
    sigset_t stops;
    int signal_number;

    report_start();
    master_stop_signals(&stops);
    sigwait(&stops, &signal_number);
    return 0;
}

static int end_at_once(void *arg, unsigned number)
{
    report_start();
    return 7;
}

static int ignore_stop(void *arg, unsigned number)
{
    report_start();
    while (pause() == -1)
        ;
    return 0;
}

static void start_master(int (*work)(void *, unsigned), unsigned workers, int stop_timeout_ms)
{
    struct master_options options = {
        .workers = workers, .work = work, .stop_timeout_ms = stop_timeout_ms};

    assert_int_equal(pipe(starts), 0);
    master_pid = fork();
    assert_true(master_pid >= 0);
    if (master_pid == 0) {
        close(starts[0]);
        tk_log_init(TK_LOG_ERROR, "test");
        _exit(master_run(&options));
    }
    close(starts[1]);
}

/* The pid of the next worker that starts; 0 when none does within timeout_ms. */
static pid_t next_start(int timeout_ms)
{
    struct pollfd fd = {.fd = starts[0], .events = POLLIN};
    pid_t pid;

    if (poll(&fd, 1, timeout_ms) <= 0)
        return 0;
    assert_int_equal(read(starts[0], &pid, sizeof(pid)), sizeof(pid));
    return pid;
}

/* The pipe ends when the last process that could write to it has gone. */
static bool all_gone(void)
{
    struct pollfd fd = {.fd = starts[0], .events = POLLIN};
    int64_t deadline = tk_clock_ms() + PATIENCE_MS;
    pid_t pid;

    while (tk_clock_ms() < deadline) {
        if (poll(&fd, 1, 100) > 0 && read(starts[0], &pid, sizeof(pid)) == 0)
            return true;
    }
    return false;
}

static int status_of_master(void)
{
    int status;

    assert_int_equal(waitpid(master_pid, &status, 0), master_pid);
    close(starts[0]);
    return status;
}

static void a_stop_signal_ends_all(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

    for (size_t i = 0; i < TK_ARRAY_LEN(signals); i++) {
        start_master(wait_politely, 3, PATIENCE_MS);
        for (int n = 0; n < 3; n++)
            assert_int_not_equal(next_start(PATIENCE_MS), 0);
        kill(master_pid, signals[i]);
        assert_true(all_gone());
        assert_int_equal(status_of_master(), 0);
    }
}

static void a_killed_worker_is_replaced(void **state)
{
    start_master(wait_politely, 1, PATIENCE_MS);
    pid_t first = next_start(PATIENCE_MS);
    assert_int_not_equal(first, 0);
    kill(first, SIGKILL);
    pid_t second = next_start(PATIENCE_MS);
    assert_int_not_equal(second, 0);
    assert_int_not_equal(second, first);
    kill(master_pid, SIGTERM);
    assert_true(all_gone());
    assert_int_equal(status_of_master(), 0);
}

/* At once, then after 100, 200, 400 ms and so on: no busy loop. */
static void a_worker_that_keeps_dying_is_slowed_down(void **state)
{
    int64_t start = tk_clock_ms();
    int count = 0;

    start_master(end_at_once, 1, PATIENCE_MS);
    while (next_start(1000) != 0 && tk_clock_ms() - start < 1000)
        count++;
    assert_in_range(count, 3, 6);
    kill(master_pid, SIGTERM);
    assert_true(all_gone());
    assert_int_equal(status_of_master(), 0);
}

static void a_worker_that_will_not_stop_is_killed(void **state)
{
    start_master(ignore_stop, 2, 200);
    assert_int_not_equal(next_start(PATIENCE_MS), 0);
    assert_int_not_equal(next_start(PATIENCE_MS), 0);
    kill(master_pid, SIGTERM);
    assert_true(all_gone());
    assert_int_equal(status_of_master(), 0);
}

static void workers_go_with_a_killed_master(void **state)
{
    start_master(wait_politely, 2, PATIENCE_MS);
    assert_int_not_equal(next_start(PATIENCE_MS), 0);
    assert_int_not_equal(next_start(PATIENCE_MS), 0);
    kill(master_pid, SIGKILL);
    assert_true(all_gone());
    assert_true(WIFSIGNALED(status_of_master()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_signal_ends_all),
        cmocka_unit_test(a_killed_worker_is_replaced),
        cmocka_unit_test(a_worker_that_keeps_dying_is_slowed_down),
        cmocka_unit_test(a_worker_that_will_not_stop_is_killed),
        cmocka_unit_test(workers_go_with_a_killed_master),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
