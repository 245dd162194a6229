/* SPDX-License-Identifier: MIT */
/* A real redis-server, found in PATH, on a unix socket in a private directory; no TCP, no files. */
#pragma once

#include <sys/types.h>

struct scratch_redis {
    char dir[64];
    char socket[96];
    pid_t pid; /* 0: not running */
};

/* Makes the directory; nothing runs yet. */
void scratch_redis_init(struct scratch_redis *r);
/* password may be NULL. Returns when it accepts connections. */
void scratch_redis_start(struct scratch_redis *r, const char *password);
void scratch_redis_stop(struct scratch_redis *r); /* at once, as after a crash */
void scratch_redis_fini(struct scratch_redis *r);
