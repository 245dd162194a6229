/* SPDX-License-Identifier: MIT */
#pragma once

#include "broker/settings.h"

#define WORKER_SPARE_FILES 200 /* open files that are not clients; it must be allowed more */

/*
 * One worker process: serves clients until SIGTERM, then drains. broker_name is this broker's name,
 * index its number among the broker's workers. Returns the process' exit status.
 */
int worker_run(const struct broker_settings *settings, const char *broker_name, int index);
