/* SPDX-License-Identifier: MIT */
#include "tests/unit/broker/scratch_redis.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/tk_base.h"

void scratch_redis_init(struct scratch_redis *r)
{
    *r = (struct scratch_redis){0};
    snprintf(r->dir, sizeof(r->dir), "/tmp/tako-test-XXXXXX");
    char *dir = mkdtemp(r->dir);
    tk_assert(dir != NULL);
    snprintf(r->socket, sizeof(r->socket), "%s/redis.sock", r->dir);
}

static bool can_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tk_assert(fd >= 0);
    bool is_connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return is_connected;
}

static void run_redis(const struct scratch_redis *r, const char *password)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the test */
    bool is_quiet = freopen("/dev/null", "w", stdout) != NULL;
    tk_assert(is_quiet);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->socket, "--dir",
           r->dir, "--save", "", "--appendonly", "no", "--loglevel", "warning", "--requirepass",
           password ? password : "", (char *)NULL);
    fprintf(stderr, "redis-server is not in PATH: this test needs it\n");
    _exit(127);
}

void scratch_redis_start(struct scratch_redis *r, const char *password)
{
    r->pid = fork();
    tk_assert(r->pid >= 0);
    if (r->pid == 0)
        run_redis(r, password);
    for (int i = 0; i < 1000 && !can_connect(r->socket); i++) {
        int has_ended = waitpid(r->pid, NULL, WNOHANG) != 0;
        tk_assert(!has_ended);
        usleep(10000);
    }
    tk_assert(can_connect(r->socket));
}

void scratch_redis_stop(struct scratch_redis *r)
{
    if (r->pid == 0)
        return;
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    r->pid = 0;
    unlink(r->socket);
}

void scratch_redis_fini(struct scratch_redis *r)
{
    scratch_redis_stop(r);
    rmdir(r->dir);
}
