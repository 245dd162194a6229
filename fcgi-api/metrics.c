/* SPDX-License-Identifier: MIT */
/* Counters only ever grow, and each stands alone: relaxed atomics are all the order they need. */
#include "fcgi-api/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "fcgi-api/router.h"
#include "fcgi-api/shared_memory.h"

#define MAX_ROUTES   32 /* rows of the route table, and one more for unknown paths */
#define MAX_STATUSES 32

/* Upper bounds in microseconds; what is slower is in +Inf only. */
static const uint64_t bounds_us[] = {500,    1000,   2500,   5000,    10000,   25000,  50000,
                                     100000, 250000, 500000, 1000000, 2500000, 5000000};
#define BOUNDS TK_ARRAY_LEN(bounds_us)

static const enum http_method methods[] = {HTTP_GET,   HTTP_HEAD,    HTTP_POST,
                                           HTTP_PATCH, HTTP_OPTIONS, HTTP_OTHER};

enum database_error {
    DATABASE_UNAVAILABLE,
    DATABASE_REFUSED_VALUE,
    DATABASE_OTHER,
    DATABASE_ERROR_COUNT,
};

static const char *const database_errors[] = {
    [DATABASE_UNAVAILABLE] = "unavailable",
    [DATABASE_REFUSED_VALUE] = "refused_value",
    [DATABASE_OTHER] = "other",
};

typedef _Atomic uint64_t counter;

struct durations {
    counter buckets[BOUNDS + 1]; /* each request in one; summed up when written */
    counter sum_us;
};

struct metrics {
    counter requests[MAX_ROUTES][TK_ARRAY_LEN(methods)][MAX_STATUSES];
    struct durations durations[MAX_ROUTES];
    counter database_errors[DATABASE_ERROR_COUNT];
    counter worker_starts, worker_ends;
};

static void add(counter *c, uint64_t amount)
{
    atomic_fetch_add_explicit(c, amount, memory_order_relaxed);
}

static uint64_t get(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

struct metrics *metrics_new(void)
{
    tk_assert(router_table_count < MAX_ROUTES);
    tk_assert(http_status_count <= MAX_STATUSES);
    return shared_memory_new(sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
    shared_memory_free(metrics, sizeof(*metrics));
}

static size_t method_number(enum http_method method)
{
    size_t number = 0;

    while (number + 1 < TK_ARRAY_LEN(methods) && methods[number] != method)
        number++;
    return number;
}

static size_t status_number(int status)
{
    size_t number = 0;

    while (number < http_status_count && http_statuses[number].status != status)
        number++;
    tk_assert(number < http_status_count);
    return number;
}

/* Rows of one path are counted in its first one; unknown paths behind the last. */
static size_t route_number(const struct response *response)
{
    return response->route != NULL ? (size_t)(response->route - router_table) : router_table_count;
}

void metrics_count_request(struct metrics *metrics, const struct request *request,
                           const struct response *response, uint64_t microseconds)
{
    size_t route = route_number(response), bucket = 0;

    while (bucket < BOUNDS && microseconds > bounds_us[bucket])
        bucket++;
    add(&metrics->requests[route][method_number(request->method)][status_number(response->status)],
        1);
    add(&metrics->durations[route].buckets[bucket], 1);
    add(&metrics->durations[route].sum_us, microseconds);
}

void metrics_count_database_error(struct metrics *metrics, enum tk_err err)
{
    enum database_error kind = DATABASE_OTHER;

    if (err == TK_OK || err == TK_ENOTFOUND || err == TK_EDENIED)
        return;
    if (err == TK_EUNAVAIL || err == TK_ETIMEOUT)
        kind = DATABASE_UNAVAILABLE;
    else if (err == TK_EINVAL)
        kind = DATABASE_REFUSED_VALUE;
    add(&metrics->database_errors[kind], 1);
}

void metrics_count_worker(struct metrics *metrics, bool has_started)
{
    add(has_started ? &metrics->worker_starts : &metrics->worker_ends, 1);
}

static void write_family(struct tk_buf *out, const char *name, const char *type, const char *help)
{
    tk_buf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *pattern_of(size_t route)
{
    return route < router_table_count ? router_table[route].pattern : "unknown";
}

static void write_requests(const struct metrics *metrics, struct tk_buf *out)
{
    write_family(out, "tako_api_requests_total", "counter", "Requests answered.");
    for (size_t route = 0; route <= router_table_count; route++) {
        for (size_t method = 0; method < TK_ARRAY_LEN(methods); method++) {
            for (size_t status = 0; status < http_status_count; status++) {
                uint64_t count = get(&metrics->requests[route][method][status]);
                if (count > 0)
                    tk_buf_appendf(out,
                                   "tako_api_requests_total{method=\"%s\",route=\"%s\","
                                   "status=\"%d\"} %" PRIu64 "\n",
                                   http_method_name(methods[method]), pattern_of(route),
                                   http_statuses[status].status, count);
            }
        }
    }
}

static void write_durations_of(const struct durations *durations, const char *route,
                               struct tk_buf *out)
{
    static const char name[] = "tako_api_request_duration_seconds";
    uint64_t count = 0;

    for (size_t i = 0; i < BOUNDS; i++) {
        count += get(&durations->buckets[i]);
        tk_buf_appendf(out, "%s_bucket{route=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, route,
                       (double)bounds_us[i] / 1e6, count);
    }
    count += get(&durations->buckets[BOUNDS]);
    tk_buf_appendf(out, "%s_bucket{route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, route, count);
    tk_buf_appendf(out, "%s_sum{route=\"%s\"} %.6f\n", name, route,
                   (double)get(&durations->sum_us) / 1e6);
    tk_buf_appendf(out, "%s_count{route=\"%s\"} %" PRIu64 "\n", name, route, count);
}

static void write_durations(const struct metrics *metrics, struct tk_buf *out)
{
    write_family(out, "tako_api_request_duration_seconds", "histogram",
                 "From the request's arrival at a worker to the last byte of the answer.");
    for (size_t route = 0; route <= router_table_count; route++) {
        bool is_first_row = route == 0 || strcmp(pattern_of(route), pattern_of(route - 1)) != 0;
        if (is_first_row)
            write_durations_of(&metrics->durations[route], pattern_of(route), out);
    }
}

void metrics_write(const struct metrics *metrics, struct tk_buf *out)
{
    uint64_t ends = get(&metrics->worker_ends), starts = get(&metrics->worker_starts);

    write_requests(metrics, out);
    write_durations(metrics, out);
    write_family(out, "tako_api_database_errors_total", "counter", "Failed database calls.");
    for (size_t i = 0; i < DATABASE_ERROR_COUNT; i++)
        tk_buf_appendf(out, "tako_api_database_errors_total{kind=\"%s\"} %" PRIu64 "\n",
                       database_errors[i], get(&metrics->database_errors[i]));
    write_family(out, "tako_api_workers", "gauge", "Worker processes that run.");
    tk_buf_appendf(out, "tako_api_workers %" PRIu64 "\n", starts - ends);
    write_family(out, "tako_api_worker_starts_total", "counter",
                 "Worker processes started, those in place of dead ones included.");
    tk_buf_appendf(out, "tako_api_worker_starts_total %" PRIu64 "\n", starts);
}
