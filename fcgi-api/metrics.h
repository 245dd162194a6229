/* SPDX-License-Identifier: MIT */
/*
 * What the program counts, in memory that all workers share: one scrape of any worker tells about
 * all of them, and what a worker has counted stays when it ends.
 */
#pragma once

#include "fcgi-api/request.h"
#include "fcgi-api/response.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

void metrics_count_request(struct metrics *metrics, const struct request *request,
                           const struct response *response, uint64_t microseconds);

/* err: what a call of users.h returned. Those that are no failures are not counted. */
void metrics_count_database_error(struct metrics *metrics, enum tk_err err);

/* A worker has started, or ended. */
void metrics_count_worker(struct metrics *metrics, bool has_started);

/* In Prometheus' text format, appended. */
void metrics_write(const struct metrics *metrics, struct tk_buf *out);
