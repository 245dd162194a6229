/* SPDX-License-Identifier: MIT */
#pragma once

#include "broker/connect/http_head.h"
#include "common/tk_buf.h"

struct broker;

bool health_is_asked(struct tk_slice path); /* /healthz or /readyz */

/*
 * /healthz: 200 while the loop runs. /readyz: 200 when new clients are welcome here: not draining,
 * Redis and PostgreSQL answer; else 503 and which part is missing.
 */
void health_write_response(const struct broker *b, const struct http_head *head, bool keep_alive,
                           struct tk_buf *out);
