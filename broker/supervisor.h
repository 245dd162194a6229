/* SPDX-License-Identifier: MIT */
#pragma once

#include "broker/settings.h"

/*
 * Runs the workers: starts settings->workers processes, restarts one that dies (with a backoff when
 * it dies soon), passes SIGTERM and SIGINT on and leaves when all have drained. A worker dies with
 * its supervisor. Returns the process' exit status: 1 when it cannot have the port, or may open too
 * few files.
 */
int supervisor_run(const struct broker_settings *settings);
