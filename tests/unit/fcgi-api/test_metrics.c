/* SPDX-License-Identifier: MIT */
/* Counts, as Prometheus reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi-api/metrics.h"
#include "fcgi-api/router.h"

static struct metrics *metrics;
static struct tk_buf text;

static int set_up(void **state)
{
    metrics = metrics_new();
    return 0;
}

static int tear_down(void **state)
{
    metrics_free(metrics);
    tk_buf_fini(&text);
    return 0;
}

static void count(enum http_method method, const struct route *route, int status, uint64_t us)
{
    struct request request = {.method = method};
    struct response response = {.status = status, .route = route};

    metrics_count_request(metrics, &request, &response, us);
}

static const struct route *route_named(const char *pattern)
{
    for (size_t i = 0; i < router_table_count; i++) {
        if (strcmp(router_table[i].pattern, pattern) == 0)
            return &router_table[i];
    }
    return NULL;
}

static void expect_line(const char *line)
{
    struct tk_buf wanted = {0};

    tk_buf_clear(&text);
    metrics_write(metrics, &text);
    tk_buf_appendf(&wanted, "\n%s\n", line);
    if (strstr(tk_buf_str(&text), tk_buf_str(&wanted)) == NULL)
        fail_msg("no line %s in %s", line, tk_buf_str(&text));
    tk_buf_fini(&wanted);
}

#define LEADERS "/api/json/leaderboard"

static void requests_by_method_route_and_status(void **state)
{
    count(HTTP_GET, route_named(LEADERS), 200, 100);
    count(HTTP_GET, route_named(LEADERS), 200, 100);
    count(HTTP_HEAD, route_named(LEADERS), 304, 100);
    count(HTTP_OTHER, NULL, 404, 100);
    expect_line("tako_api_requests_total{method=\"GET\",route=\"" LEADERS "\",status=\"200\"} 2");
    expect_line("tako_api_requests_total{method=\"HEAD\",route=\"" LEADERS "\",status=\"304\"} 1");
    expect_line("tako_api_requests_total{method=\"OTHER\",route=\"unknown\",status=\"404\"} 1");
}

static void durations_add_up(void **state)
{
    const struct route *route = route_named(LEADERS);

    count(HTTP_GET, route, 200, 500); /* the bound itself is inside */
    count(HTTP_GET, route, 200, 501);
    count(HTTP_GET, route, 200, 10000000);
#define NAME "tako_api_request_duration_seconds"
    expect_line(NAME "_bucket{route=\"" LEADERS "\",le=\"0.0005\"} 1");
    expect_line(NAME "_bucket{route=\"" LEADERS "\",le=\"0.001\"} 2");
    expect_line(NAME "_bucket{route=\"" LEADERS "\",le=\"5\"} 2");
    expect_line(NAME "_bucket{route=\"" LEADERS "\",le=\"+Inf\"} 3");
    expect_line(NAME "_sum{route=\"" LEADERS "\"} 10.001001");
    expect_line(NAME "_count{route=\"" LEADERS "\"} 3");
}

static void failures_of_the_database_by_kind(void **state)
{
    static const enum tk_err errors[] = {TK_OK,       TK_ENOTFOUND, TK_EDENIED, TK_EUNAVAIL,
                                         TK_ETIMEOUT, TK_EINVAL,    TK_EIO};

    for (size_t i = 0; i < TK_ARRAY_LEN(errors); i++)
        metrics_count_database_error(metrics, errors[i]);
    expect_line("tako_api_database_errors_total{kind=\"unavailable\"} 2");
    expect_line("tako_api_database_errors_total{kind=\"refused_value\"} 1");
    expect_line("tako_api_database_errors_total{kind=\"other\"} 1");
}

static void workers_that_run_and_that_were_started(void **state)
{
    metrics_count_worker(metrics, true);
    metrics_count_worker(metrics, true);
    metrics_count_worker(metrics, false);
    expect_line("tako_api_workers 1");
    expect_line("tako_api_worker_starts_total 2");
}

static void processes_share(void **state)
{
    pid_t child = fork();

    assert_int_not_equal(child, -1);
    if (child == 0) {
        count(HTTP_GET, route_named("/healthz"), 200, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    expect_line("tako_api_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1");
}

/* Every status that errors and answers can have has a place. */
static void no_status_is_without_a_place(void **state)
{
    for (size_t i = 0; i < http_status_count; i++)
        count(HTTP_GET, NULL, http_statuses[i].status, 1);
    expect_line("tako_api_requests_total{method=\"GET\",route=\"unknown\",status=\"503\"} 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_by_method_route_and_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(durations_add_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_of_the_database_by_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_that_run_and_that_were_started, set_up, tear_down),
        cmocka_unit_test_setup_teardown(processes_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_status_is_without_a_place, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
