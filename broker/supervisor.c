/* SPDX-License-Identifier: MIT */
/*
 * The supervisor has no loop and serves nobody: it sleeps in sigtimedwait until a worker ends, a
 * signal comes, or a restart is due. Everything it knows of a worker is in struct slot.
 */
#include "broker/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/connect/listener.h"
#include "broker/worker.h"
#include "common/tk_clock.h"
#include "common/tk_log.h"

#define SOON_MS            10000 /* a worker that lived shorter failed to serve */
#define RESTART_FIRST_MS   100
#define RESTART_LONGEST_MS 5000
#define PORT_WAIT_MS       3000 /* for a predecessor that has just been told to stop */
#define KILL_GRACE_MS      15000

struct slot {
    pid_t pid; /* 0: not running */
    uint64_t started_ms;
    uint64_t restart_at_ms;
    uint64_t backoff_ms;
};

struct supervisor {
    const struct broker_settings *settings;
    char name[64];
    struct slot *slots;
    int count;
    bool is_stopping;
    uint64_t kill_at_ms;
    sigset_t signals;
};

static uint64_t now_ms(void)
{
    return (uint64_t)tk_clock_ms();
}

static void run_worker(const struct supervisor *sv, int index, pid_t parent)
{
    char prefix[32];
    /* Not SIGKILL: when the supervisor is killed, clients still get a close frame. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group; the supervisor passes it on */
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &sv->signals, NULL);
    enum tk_log_level level = TK_LOG_INFO;
    (void)!tk_log_level_parse(sv->settings->log_level, &level);
    snprintf(prefix, sizeof(prefix), "broker worker=%d", index);
    tk_log_init(level, prefix);
    exit(worker_run(sv->settings, sv->name, index));
}

static void start_worker(struct supervisor *sv, int index)
{
    struct slot *slot = &sv->slots[index];
    pid_t parent = getpid();
    pid_t pid = fork();
    slot->started_ms = now_ms();
    if (pid == 0)
        run_worker(sv, index, parent);
    if (pid > 0) {
        slot->pid = pid;
        return;
    }
    tk_log_error("cannot fork worker=%d error=\"%s\"", index, strerror(errno));
    slot->restart_at_ms = now_ms() + RESTART_LONGEST_MS;
}

static void plan_restart(struct supervisor *sv, int index, int status)
{
    struct slot *slot = &sv->slots[index];
    uint64_t now = now_ms();
    slot->pid = 0;
    if (sv->is_stopping)
        return;
    if (now - slot->started_ms >= SOON_MS)
        slot->backoff_ms = 0;
    slot->restart_at_ms = now + slot->backoff_ms;
    tk_log_error("worker=%d ended %s=%d restart_in_ms=%llu", index,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 (unsigned long long)slot->backoff_ms);
    slot->backoff_ms = slot->backoff_ms == 0 ? RESTART_FIRST_MS : slot->backoff_ms * 2;
    if (slot->backoff_ms > RESTART_LONGEST_MS)
        slot->backoff_ms = RESTART_LONGEST_MS;
}

static void reap(struct supervisor *sv)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < sv->count; i++)
            if (sv->slots[i].pid == pid)
                plan_restart(sv, i, status);
}

static int running(const struct supervisor *sv)
{
    int n = 0;
    for (int i = 0; i < sv->count; i++)
        n += sv->slots[i].pid > 0;
    return n;
}

static void signal_workers(const struct supervisor *sv, int number)
{
    for (int i = 0; i < sv->count; i++)
        if (sv->slots[i].pid > 0)
            kill(sv->slots[i].pid, number);
}

static void stop(struct supervisor *sv)
{
    if (sv->is_stopping)
        return;
    sv->is_stopping = true;
    sv->kill_at_ms = now_ms() + (uint64_t)sv->settings->drain_ms + KILL_GRACE_MS;
    tk_log_info("stopping workers=%d", running(sv));
    signal_workers(sv, SIGTERM);
}

/* Starts what is due; returns how long to sleep at most. */
static uint64_t start_due_workers(struct supervisor *sv)
{
    uint64_t now = now_ms(), sleep_ms = 60000;
    for (int i = 0; i < sv->count && !sv->is_stopping; i++) {
        struct slot *slot = &sv->slots[i];
        if (slot->pid > 0)
            continue;
        if (slot->restart_at_ms <= now)
            start_worker(sv, i);
        else if (slot->restart_at_ms - now < sleep_ms)
            sleep_ms = slot->restart_at_ms - now;
    }
    if (sv->is_stopping)
        sleep_ms = now < sv->kill_at_ms ? sv->kill_at_ms - now : 100;
    return sleep_ms;
}

static void wait_for_signal(struct supervisor *sv, uint64_t timeout_ms)
{
    const struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ms / 1000),
        .tv_nsec = (long)(timeout_ms % 1000) * 1000000,
    };
    int number = sigtimedwait(&sv->signals, NULL, &timeout);
    if (number == SIGTERM || number == SIGINT)
        stop(sv);
}

static void supervise(struct supervisor *sv)
{
    do {
        wait_for_signal(sv, start_due_workers(sv));
        reap(sv);
        if (sv->is_stopping && now_ms() >= sv->kill_at_ms)
            signal_workers(sv, SIGKILL);
    } while (!sv->is_stopping || running(sv) > 0);
}

static void log_no_port(const struct broker_settings *settings, int error)
{
    int port = (int)settings->port;
    const char *host = TK_ESCAPE(tk_slice_str(settings->host));
    if (error == EADDRINUSE)
        tk_log_error("port %d is already in use: stop the other program, set PORT, or set "
                     "TAKO_SHARE_PORT=1 to take over from a running broker",
                     port);
    else if (error == EADDRNOTAVAIL)
        tk_log_error("TAKO_HOST=%s is no address of this machine: 0.0.0.0 stands for all", host);
    else
        tk_log_error("cannot listen on TAKO_HOST=%s port %d: %s", host, port, strerror(error));
}

/*
 * Workers share the port by SO_REUSEPORT, which would also let a second broker in unnoticed. A bind
 * without it finds out; a predecessor that is just closing its sockets gets a moment.
 */
static bool is_port_free(const struct broker_settings *settings)
{
    for (int waited = 0;; waited += 100) {
        int fd = listener_bind(settings->host, (int)settings->port, settings->share_port);
        if (fd >= 0) {
            close(fd);
            return true;
        }
        if (errno != EADDRINUSE || waited >= PORT_WAIT_MS)
            break;
        usleep(100 * 1000);
    }
    log_no_port(settings, errno);
    return false;
}

static void choose_name(struct supervisor *sv)
{
    char host[40] = "tako";
    if (sv->settings->node_name && *sv->settings->node_name) {
        snprintf(sv->name, sizeof(sv->name), "%s", sv->settings->node_name);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    snprintf(sv->name, sizeof(sv->name), "%s-%d", host, (int)sv->settings->port);
}

static bool has_files_for_clients(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max > WORKER_SPARE_FILES)
        return true;
    tk_log_error(
        "a limit of %llu open files leaves none for clients: raise it above %d (ulimit -n, "
        "LimitNOFILE)",
        (unsigned long long)limit.rlim_max, WORKER_SPARE_FILES);
    return false;
}

int supervisor_run(const struct broker_settings *settings)
{
    struct supervisor sv = {.settings = settings, .count = (int)settings->workers};
    if (sv.count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        sv.count = cores > 0 ? (int)cores : 1;
    }
    if (!has_files_for_clients() || !is_port_free(settings))
        return EXIT_FAILURE;
    choose_name(&sv);
    sv.slots = tk_xcalloc((size_t)sv.count, sizeof(*sv.slots));
    sigemptyset(&sv.signals);
    sigaddset(&sv.signals, SIGTERM);
    sigaddset(&sv.signals, SIGINT);
    sigaddset(&sv.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &sv.signals, NULL);
    tk_log_info("starting workers=%d port=%d name=%s", sv.count, (int)settings->port, sv.name);
    supervise(&sv);
    tk_log_info("stopped");
    free(sv.slots);
    return EXIT_SUCCESS;
}
