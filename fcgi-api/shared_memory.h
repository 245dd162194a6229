/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/*
 * Zeroed memory that stays one and the same across fork(): what the workers have in common. It
 * holds atomics only, no locks and no pointers, so a worker may be killed at any moment. Aborts
 * when there is none; shared_memory_free takes NULL.
 */
void *shared_memory_new(size_t size) __attribute__((returns_nonnull));
void shared_memory_free(void *memory, size_t size);
