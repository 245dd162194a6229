/* SPDX-License-Identifier: MIT */
/*
 * A master and its workers. The master only starts, watches and ends them; it touches no request.
 * Stop signals (TERM, INT, HUP, USR1) and CHLD are blocked from here on and inherited blocked, so a
 * worker is interrupted only where it says so.
 */
#pragma once

#include <signal.h>

#include "common/tk_base.h"

struct master_options {
    unsigned workers;
    /* Runs in a new process; what it returns is the exit status. number counts from 0. */
    int (*work)(void *arg, unsigned number);
    void *arg;
    /* Called in the master when a worker has started or ended; may be NULL. */
    void (*on_worker)(void *arg, bool has_started);
    int stop_timeout_ms; /* on a stop signal, until workers that do not end are killed */
};

/*
 * Returns 0 after a stop signal, when all workers have ended. A worker that ends before is started
 * again: at once the first time, then with growing delays while it keeps ending soon.
 */
int master_run(const struct master_options *options);

/* The signals that ask master and workers to stop. */
void master_stop_signals(sigset_t *set);
