/* SPDX-License-Identifier: MIT */
/* Publishing while Redis is away: nothing fails, and nothing takes long (design: when parts fail).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"
#include "fcgi-api/user_events.h"

static struct user_events *events_for(const char *url)
{
    struct user_events *events = NULL;

    assert_int_equal(user_events_new(url, &events), TK_OK);
    return events;
}

static void bad_addresses_are_refused(void **state)
{
    struct user_events *events = NULL;

    assert_int_equal(user_events_new("http://x", &events), TK_EINVAL);
    assert_null(events);
    user_events_free(NULL);
}

static void nobody_there(void **state)
{
    struct user_events *events = events_for("unix:///nonexistent/redis.sock");
    int64_t start = tk_clock_ms();

    for (int i = 0; i < 1000; i++)
        user_events_publish(events, TK_SLICE("{}"));
    assert_true(tk_clock_ms() - start < 500);
    user_events_free(events);
}

/* A Redis that was stopped: it takes connections and says nothing. One try pays for all. */
static void somebody_who_does_not_answer(void **state)
{
    char folder[] = "/tmp/tako-events-XXXXXX", url[96];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    snprintf(url, sizeof(url), "unix://%s/s", folder);

    struct user_events *events = events_for(url);
    int64_t start = tk_clock_ms();
    for (int i = 0; i < 1000; i++)
        user_events_publish(events, TK_SLICE("{}"));
    assert_in_range(tk_clock_ms() - start, 50, 900);
    user_events_free(events);
    close(fd);
    unlink(address.sun_path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(somebody_who_does_not_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
