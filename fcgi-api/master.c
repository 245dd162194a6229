/* SPDX-License-Identifier: MIT */
/*
 * Everything that happens to the master arrives through sigtimedwait(): no handlers, no races. A
 * slot per worker remembers when it may be started again.
 */
#include "fcgi-api/master.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"

#define GOOD_LIFE_MS 10000 /* a worker that lived so long is not failing at its start */
#define DELAY_MIN_MS 100
#define DELAY_MAX_MS 10000

struct slot {
    pid_t pid; /* 0: not running */
    unsigned quick_deaths;
    int64_t started_ms;
    int64_t may_start_ms;
};

struct master {
    const struct master_options *options;
    struct slot *slots;
    sigset_t signals;
};

void master_stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1); /* FastCGI's own "finish and go" */
}

/* A worker never outlives its master, not even one that was killed. */
static void tie_to_master(pid_t master)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != master)
        exit(EXIT_FAILURE);
}

static int64_t delay_after(unsigned quick_deaths)
{
    int64_t delay = quick_deaths > 0 ? DELAY_MIN_MS : 0;

    for (; quick_deaths > 1 && delay < DELAY_MAX_MS; quick_deaths--)
        delay *= 2;
    return delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS;
}

static void schedule_restart(struct slot *slot, int64_t now)
{
    if (now - slot->started_ms >= GOOD_LIFE_MS)
        slot->quick_deaths = 0;
    slot->may_start_ms = now + delay_after(slot->quick_deaths);
    slot->quick_deaths++;
}

static void report(const struct master *m, bool has_started)
{
    if (m->options->on_worker != NULL)
        m->options->on_worker(m->options->arg, has_started);
}

static void start_worker(struct master *m, unsigned number)
{
    struct slot *slot = &m->slots[number];
    pid_t master = getpid(), pid = fork();

    slot->started_ms = tk_clock_ms();
    if (pid == 0) {
        tie_to_master(master);
        free(m->slots);
        exit(m->options->work(m->options->arg, number));
    }
    if (pid < 0) {
        tk_log_error("cannot start worker=%u: %s", number, strerror(errno));
        schedule_restart(slot, slot->started_ms);
        return;
    }
    slot->pid = pid;
    report(m, true);
}

static void start_due(struct master *m)
{
    int64_t now = tk_clock_ms();

    for (unsigned i = 0; i < m->options->workers; i++) {
        if (m->slots[i].pid == 0 && m->slots[i].may_start_ms <= now)
            start_worker(m, i);
    }
}

/* Until the next worker may be started; -1 when all are running. */
static int64_t next_start_in(const struct master *m)
{
    int64_t now = tk_clock_ms(), nearest = -1;

    for (unsigned i = 0; i < m->options->workers; i++) {
        if (m->slots[i].pid != 0)
            continue;
        int64_t wait = m->slots[i].may_start_ms > now ? m->slots[i].may_start_ms - now : 0;
        if (nearest < 0 || wait < nearest)
            nearest = wait;
    }
    return nearest;
}

static struct slot *find_slot(struct master *m, pid_t pid)
{
    for (unsigned i = 0; i < m->options->workers; i++) {
        if (m->slots[i].pid == pid)
            return &m->slots[i];
    }
    return NULL;
}

static void reap(struct master *m, bool stopping)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct slot *slot = find_slot(m, pid);
        if (slot == NULL)
            continue;
        slot->pid = 0;
        report(m, false);
        if (stopping)
            continue;
        schedule_restart(slot, tk_clock_ms());
        tk_log_warn("worker=%u ended pid=%d %s=%d, starts again", (unsigned)(slot - m->slots),
                    (int)pid, WIFSIGNALED(status) ? "signal" : "status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

/* The signal that came, or 0 at the end of the time; timeout_ms below 0 waits without end. */
static int wait_for_signal(const struct master *m, int64_t timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
    int signal_number = sigtimedwait(&m->signals, NULL, timeout_ms < 0 ? NULL : &timeout);

    return signal_number > 0 ? signal_number : 0;
}

static unsigned signal_workers(const struct master *m, int signal_number)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < m->options->workers; i++) {
        if (m->slots[i].pid == 0)
            continue;
        alive++;
        kill(m->slots[i].pid, signal_number);
    }
    return alive;
}

static unsigned count_alive(const struct master *m)
{
    return signal_workers(m, 0);
}

/* Workers finish their request; those that do not in time are killed. */
static void stop_workers(struct master *m)
{
    int64_t deadline = tk_clock_ms() + m->options->stop_timeout_ms, left;

    signal_workers(m, SIGTERM);
    while (count_alive(m) > 0 && (left = deadline - tk_clock_ms()) > 0) {
        wait_for_signal(m, left);
        reap(m, true);
    }
    if (signal_workers(m, SIGKILL) > 0)
        tk_log_warn("workers did not stop in time and were killed");
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

int master_run(const struct master_options *options)
{
    struct master m = {.options = options,
                       .slots = tk_xcalloc(options->workers, sizeof(struct slot))};
    int signal_number = 0;

    master_stop_signals(&m.signals);
    sigaddset(&m.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &m.signals, NULL);
    tk_log_info("master starts pid=%d workers=%u", (int)getpid(), options->workers);
    while (signal_number == 0 || signal_number == SIGCHLD) {
        reap(&m, false);
        start_due(&m);
        signal_number = wait_for_signal(&m, next_start_in(&m));
    }
    tk_log_info("master stops signal=%d", signal_number);
    stop_workers(&m);
    free(m.slots);
    return EXIT_SUCCESS;
}
