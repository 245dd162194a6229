/* SPDX-License-Identifier: MIT */
/*
 * Idempotency-Key on POST (H103). Requests that a check refuses leave no trace: only a registration
 * is remembered. The key is as good as the user's id to whoever also knows the request, so clients
 * must make it random, as the IETF's draft wants it.
 */
#pragma once

#include "fcgi-api/api.h"

/* Digests of the key and of the request. False, with an error, for a key that is none. */
bool idempotency_read(struct exchange *x, struct users_once *once);

/* False, with an error, unless outcome is a user to answer with. */
bool idempotency_accept(struct exchange *x, enum users_outcome outcome);
