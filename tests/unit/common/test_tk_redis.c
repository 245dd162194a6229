/* SPDX-License-Identifier: MIT */
/*
 * The Redis login, against a server that is a child process on a unix socket: it answers with what
 * the test gave it and reports what it was sent.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tk_redis.h"

#define TIMEOUT_MS 2000

struct server {
    char folder[64];
    struct sockaddr_un address;
    pid_t child;
    int report; /* read end: the bytes a client sent */
};

/* The child's life: one client, the given answers, then all it sent, at most ten seconds. */
static void serve(int listener, const char *answers, int report)
{
    char bytes[1024];
    ssize_t len;

    alarm(10);
    int client = accept(listener, NULL, NULL);
    if (client < 0 || write(client, answers, strlen(answers)) < 0)
        _exit(1);
    while ((len = read(client, bytes, sizeof(bytes))) > 0) {
        if (write(report, bytes, (size_t)len) != len)
            _exit(1);
    }
    _exit(0);
}

static void server_start(struct server *s, const char *answers)
{
    int pipe_ends[2];

    snprintf(s->folder, sizeof(s->folder), "/tmp/tako-test-redis.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    s->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(s->address.sun_path, sizeof(s->address.sun_path), "%s/sock", s->folder);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&s->address, sizeof(s->address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(pipe(pipe_ends), 0);
    s->child = fork();
    assert_true(s->child >= 0);
    if (s->child == 0) {
        close(pipe_ends[0]);
        serve(listener, answers, pipe_ends[1]);
    }
    close(pipe_ends[1]);
    close(listener);
    s->report = pipe_ends[0];
}

/* To be called when the client is gone. What it had sent goes to sent. */
static void server_end(struct server *s, char *sent, size_t size)
{
    size_t len = 0;
    ssize_t got;

    while (len < size - 1 && (got = read(s->report, sent + len, size - 1 - len)) > 0)
        len += (size_t)got;
    sent[len] = '\0';
    close(s->report);
    kill(s->child, SIGKILL);
    waitpid(s->child, NULL, 0);
    unlink(s->address.sun_path);
    rmdir(s->folder);
}

static void expect_login(struct tk_redis_address address, const char *answers, const char *expected)
{
    struct server server;
    redisContext *context = NULL;
    char why[200] = "", sent[500];

    server_start(&server, answers);
    address.unix_path = server.address.sun_path;
    enum tk_err err = tk_redis_connect(&address, TIMEOUT_MS, &context, why, sizeof(why));
    if (!err)
        redisFree(context);
    server_end(&server, sent, sizeof(sent));
    assert_string_equal(why, "");
    assert_int_equal(err, TK_OK);
    assert_string_equal(sent, expected);
}

#define AUTH_SECRET "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"
#define SELECT_12   "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n"

static void the_login_is_what_the_address_asks_for(void **state)
{
    char secret[] = "secret", user[] = "tako";

    expect_login((struct tk_redis_address){.db = 0}, "", "");
    expect_login((struct tk_redis_address){.password = secret}, "+OK\r\n", AUTH_SECRET);
    expect_login((struct tk_redis_address){.db = 12}, "+OK\r\n", SELECT_12);
    expect_login((struct tk_redis_address){.password = secret, .db = 12}, "+OK\r\n+OK\r\n",
                 AUTH_SECRET SELECT_12);
    expect_login((struct tk_redis_address){.user = user, .password = secret}, "+OK\r\n",
                 "*3\r\n$4\r\nAUTH\r\n$4\r\ntako\r\n$6\r\nsecret\r\n");
    expect_login((struct tk_redis_address){.user = user}, "+OK\r\n",
                 "*3\r\n$4\r\nAUTH\r\n$4\r\ntako\r\n$0\r\n\r\n");
}

static void expect_failure(const char *answers, enum tk_err expected, const char *reason)
{
    char secret[] = "secret";
    struct tk_redis_address address = {.password = secret, .db = 3};
    struct server server;
    redisContext *context = NULL;
    char why[200] = "", sent[500];

    server_start(&server, answers);
    address.unix_path = server.address.sun_path;
    enum tk_err err = tk_redis_connect(&address, 200, &context, why, sizeof(why));
    server_end(&server, sent, sizeof(sent));
    assert_int_equal(err, expected);
    assert_null(context);
    assert_null(strstr(why, "secret"));
    if (strstr(why, reason) == NULL)
        fail_msg("%s", why);
}

static void a_refused_login_is_told_from_a_lost_connection(void **state)
{
    expect_failure("-WRONGPASS invalid password\r\n+OK\r\n", TK_EDENIED, "WRONGPASS");
    expect_failure("+OK\r\n-ERR DB index is out of range\r\n", TK_EDENIED, "out of range");
    expect_failure("-ERR \x1b[31m\xff\r\n", TK_EDENIED, "ERR ?[31m?");
    expect_failure("HTTP/1.1 400 Bad Request\r\n", TK_EUNAVAIL, "lost the connection to Redis");
}

static void a_server_that_says_nothing_is_given_up(void **state)
{
    expect_failure("", TK_EUNAVAIL, "lost the connection to Redis");
    expect_failure("+OK\r\n", TK_EUNAVAIL, "lost the connection to Redis");
}

static void a_server_that_is_not_there_is_explained(void **state)
{
    char path[] = "/tmp/tako-test-redis-that-is-not-there/sock";
    struct tk_redis_address address = {.unix_path = path};
    redisContext *context = NULL;
    char why[200] = "", brief[12] = "";

    assert_int_equal(tk_redis_connect(&address, 200, &context, why, sizeof(why)), TK_EUNAVAIL);
    assert_non_null(strstr(why, "cannot connect to Redis: No such file"));
    assert_int_equal(tk_redis_connect(&address, 200, &context, brief, sizeof(brief)), TK_EUNAVAIL);
    assert_string_equal(brief, "cannot conn");
    assert_null(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_login_is_what_the_address_asks_for),
        cmocka_unit_test(a_refused_login_is_told_from_a_lost_connection),
        cmocka_unit_test(a_server_that_says_nothing_is_given_up),
        cmocka_unit_test(a_server_that_is_not_there_is_explained),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
