/* SPDX-License-Identifier: MIT */
#pragma once

#include "broker/settings.h"

/*
 * Runs the workers: starts settings->workers processes, restarts one that dies (with a backoff when
 * it dies soon), passes SIGTERM and SIGINT on and leaves when all have drained. A worker dies with
 * its supervisor. Returns the process' exit status: 1 when the port is taken or no worker comes up.
 */
int supervisor_run(const struct broker_settings *settings);
