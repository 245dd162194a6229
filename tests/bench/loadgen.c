/* SPDX-License-Identifier: MIT */
/*
 * tests/bench's load generator: thousands of Phoenix clients in one process (clients.h) and checked
 * broadcasts to them (delivery.h). It is told what to do line by line on stdin, and answers each
 * line with one line of key=value pairs on stdout, or "error ...". The clients keep their
 * heartbeats up in between; at the end of stdin everything ends. --help has the commands.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/tk_buf.h"
#include "common/tk_redis.h"
#include "tests/bench/clients.h"
#include "tests/bench/clock.h"
#include "tests/bench/delivery.h"
#include "tests/bench/presence_views.h"

#define SPARE_FILES      64
#define EVENTS_AT_ONCE   512
#define MAX_WAIT_NS      NS_PER_S
#define MAX_COMMAND      1024
#define STDIN_EVENT      UINT64_MAX
#define REDIS_TIMEOUT_MS 5000

static const char usage_text[] =
    "usage: loadgen [option...] < commands\n"
    "\n"
    "  --url ws://A.B.C.D:PORT/socket   server (ws://127.0.0.1:4000/socket)\n"
    "  --clients N        how many clients there can be (1000)\n"
    "  --first N          number of the first client (0); client N is user\n"
    "                     00000000-0000-4000-8000-<N as 12 hex digits>\n"
    "  --topic TOPIC      what everybody joins (notifications)\n"
    "  --rooms K          client N joins TOPIC<N modulo K> instead (--topic room: --rooms 100)\n"
    "  --heartbeat-ms N   time between heartbeats of a client, and for the answer (30000)\n"
    "  --join-limit-ms N  time for a client from connect to joined (10000)\n"
    "  --read-bytes-per-s N  joined clients read no faster (0: as fast as they can)\n"
    "  --comes-back 1     lost clients connect again, after the delays of phoenix.js (0)\n"
    "  --redis URL        for publish via=redis\n"
    "\n"
    "commands, each done before the next one is read:\n"
    "  join [count=N] [rate=N] [at_once=N]\n"
    "        lets N more clients in (all), rate per second (2000), at_once at a time (200)\n"
    "  publish [count=N] [window=N] [interval_us=N] [size=N] [room=K|every] [via=push|redis]\n"
    "          [first=N] [patience_ms=N]\n"
    "        count (1) broadcasts with payloads of size (100) bytes, window (1; 0: any number) of\n"
    "        them on their way at a time, one per interval; and checks every delivery.\n"
    "        room=every: one room after the other, each time from another member of it\n"
    "  expect count=N first=N [room=K]\n"
    "        checks the deliveries of broadcasts that another process publishes\n"
    "  begin-expect (as expect)  and  end-expect\n"
    "        the same in two steps: the first answers at once\n"
    "  begin-return  and  end-return [lost=N] [patience_ms=N]\n"
    "        the first answers at once; the second when N clients (all) have been lost since then\n"
    "        and everybody is joined\n"
    "  views refs=N [patience_ms=N]\n"
    "        waits until everybody in a room with presence knows the same N entries\n"
    "  churn [rate=N] [ms=N]\n"
    "        rate (50) members per second leave, and as many join again, for ms (10000)\n"
    "  hold ms=N    waits, with heartbeats\n"
    "  status       clients and heartbeats\n"
    "Durations end in _us (microseconds) or _s.\n";

struct loadgen {
    int epoll_fd;
    struct clients *clients;
    struct deliveries *deliveries;
    struct presence_views *views;
    redisContext *redis;
    struct tk_buf input;
    bool is_at_end; /* of stdin */
    const struct command *current;
    uint64_t start_ns; /* of the current command */
    uint64_t hold_until_ns;
    uint32_t return_lost; /* clients to wait for */
    uint64_t refs;        /* that views shall have */
};

struct options {
    struct clients_options clients;
    const char *redis_url;
};

/* Commands ------------------------------------------------------------------------------------- */

struct args {
    char *words; /* key=value, separated by blanks; what was asked for is blanked out */
    const char *error;
    char value[64]; /* found last */
};

/* The value of a key, cut out of the line; NULL when it is not there. */
static const char *take_arg(struct args *args, const char *key)
{
    size_t len = strlen(key);
    for (char *at = args->words; *at; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strncmp(at, key, len) != 0 || at[len] != '=')
            continue;
        size_t value_len = strcspn(at + len + 1, " ");
        if (value_len >= sizeof(args->value))
            break;
        memcpy(args->value, at + len + 1, value_len);
        args->value[value_len] = '\0';
        memset(at, ' ', len + 1 + value_len);
        return args->value;
    }
    return NULL;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > max)
        return false;
    *number = value;
    return true;
}

static uint64_t take_number_arg(struct args *args, const char *key, uint64_t preset, uint64_t max)
{
    const char *text = take_arg(args, key);
    uint64_t number = preset;
    if (text && !parse_number(text, max, &number))
        args->error = "a value is not a number, or too large";
    return number;
}

static const char *check_args(const struct args *args)
{
    if (args->error)
        return args->error;
    return args->words[strspn(args->words, " ")] ? "unknown argument" : NULL;
}

struct command {
    const char *name;
    const char *(*begin)(struct loadgen *lg, struct args *args); /* NULL, or what is wrong */
    bool (*is_done)(const struct loadgen *lg);
    void (*print)(const struct loadgen *lg);
};

static bool is_done_at_once(const struct loadgen *lg)
{
    (void)lg;
    return true;
}

static const char *join_begin(struct loadgen *lg, struct args *args)
{
    uint32_t count = (uint32_t)take_number_arg(args, "count", UINT32_MAX, UINT32_MAX);
    uint32_t rate = (uint32_t)take_number_arg(args, "rate", 2000, 1000000);
    uint32_t at_once = (uint32_t)take_number_arg(args, "at_once", 200, 100000);
    const char *wrong = check_args(args);
    if (!wrong && (rate == 0 || at_once == 0))
        wrong = "rate and at_once must not be 0";
    if (!wrong)
        clients_begin_join(lg->clients, count, rate, at_once);
    return wrong;
}

static bool join_is_done(const struct loadgen *lg)
{
    return !clients_are_joining(lg->clients);
}

static void print_quantiles(const char *prefix, const struct histogram *h)
{
    printf(" %sp50_us=%.1f %sp90_us=%.1f %sp99_us=%.1f %smax_us=%.1f", prefix,
           (double)histogram_quantile(h, 0.50) / 1e3, prefix,
           (double)histogram_quantile(h, 0.90) / 1e3, prefix,
           (double)histogram_quantile(h, 0.99) / 1e3, prefix, (double)h->max / 1e3);
}

static void join_print(const struct loadgen *lg)
{
    const struct clients_totals *totals = clients_totals(lg->clients);
    printf("joined=%" PRIu32 " join_seconds=%.3f errors=%" PRIu32, totals->joined,
           (double)(clock_ns() - lg->start_ns) / 1e9, totals->failed);
    print_quantiles("join_", clients_join_times(lg->clients));
    putchar('\n');
}

static uint32_t take_room_arg(struct args *args)
{
    const char *text = take_arg(args, "room");
    uint64_t room = 0;
    if (text && strcmp(text, "every") == 0)
        return DELIVERY_EVERY_ROOM;
    if (text && !parse_number(text, DELIVERY_EVERY_ROOM - 1, &room))
        args->error = "room is a number or every";
    return (uint32_t)room;
}

static const char *begin_plan(struct loadgen *lg, struct args *args, struct delivery_plan *plan)
{
    plan->count = (uint32_t)take_number_arg(args, "count", 1, 100000000);
    plan->first = take_number_arg(args, "first", 0, UINT64_MAX / 2);
    plan->room = take_room_arg(args);
    plan->patience_ns = take_number_arg(args, "patience_ms", 10000, 600000) * NS_PER_MS;
    const char *wrong = check_args(args);
    if (!wrong && plan->count == 0)
        wrong = "count must not be 0";
    bool is_every = plan->room == DELIVERY_EVERY_ROOM;
    if (!wrong && is_every && plan->publisher == PUBLISHER_REDIS)
        wrong = "to every room goes via=push only";
    if (!wrong && !is_every && plan->room >= clients_room_count(lg->clients))
        wrong = "there is no such room";
    return wrong ? wrong : deliveries_begin(lg->deliveries, plan);
}

static const char *publish_begin(struct loadgen *lg, struct args *args)
{
    struct delivery_plan plan = {
        .publisher = PUBLISHER_PUSH,
        .window = (uint32_t)take_number_arg(args, "window", 1, UINT32_MAX),
        .interval_ns = take_number_arg(args, "interval_us", 0, 60000000) * 1000,
        .size = (uint32_t)take_number_arg(args, "size", 100, CLIENTS_MAX_FRAME / 2),
    };
    const char *via = take_arg(args, "via");
    if (via && strcmp(via, "redis") == 0)
        plan.publisher = PUBLISHER_REDIS;
    else if (via && strcmp(via, "push") != 0)
        return "via is push or redis";
    return begin_plan(lg, args, &plan);
}

static const char *expect_begin(struct loadgen *lg, struct args *args)
{
    struct delivery_plan plan = {.publisher = PUBLISHER_NONE};
    return begin_plan(lg, args, &plan);
}

static const char *no_args_begin(struct loadgen *lg, struct args *args)
{
    (void)lg;
    return check_args(args);
}

static bool deliveries_are_done(const struct loadgen *lg)
{
    return !deliveries_are_running(lg->deliveries);
}

static void deliveries_print(const struct loadgen *lg)
{
    const struct delivery_result *r = deliveries_result(lg->deliveries);
    printf("first=%" PRIu64 " published=%" PRIu32 " receivers=%" PRIu32 " deliveries=%" PRIu64
           " missing=%" PRIu64 " duplicates=%" PRIu64 " out_of_order=%" PRIu64 " strays=%" PRIu64
           " seconds=%.6f",
           r->first, r->published, r->receivers, r->deliveries, r->missing, r->duplicates,
           r->out_of_order, r->strays, (double)(r->end_ns - r->start_ns) / 1e9);
    print_quantiles("", &r->latencies);
    putchar('\n');
}

static void expecting_print(const struct loadgen *lg)
{
    (void)lg;
    puts("expecting=1");
}

static const char *hold_begin(struct loadgen *lg, struct args *args)
{
    lg->hold_until_ns = clock_ns() + take_number_arg(args, "ms", 0, 3600000) * NS_PER_MS;
    return check_args(args);
}

static bool hold_is_done(const struct loadgen *lg)
{
    return clock_ns() >= lg->hold_until_ns;
}

static const char *begin_return_begin(struct loadgen *lg, struct args *args)
{
    clients_begin_return(lg->clients);
    return check_args(args);
}

static void returning_print(const struct loadgen *lg)
{
    (void)lg;
    puts("returning=1");
}

static const char *end_return_begin(struct loadgen *lg, struct args *args)
{
    uint32_t all = clients_totals(lg->clients)->joined + clients_totals(lg->clients)->away +
                   clients_totals(lg->clients)->connecting;
    lg->return_lost = (uint32_t)take_number_arg(args, "lost", all, UINT32_MAX);
    lg->hold_until_ns =
        clock_ns() + take_number_arg(args, "patience_ms", 60000, 600000) * NS_PER_MS;
    return check_args(args);
}

static bool return_is_done(const struct loadgen *lg)
{
    const struct clients_totals *totals = clients_totals(lg->clients);
    bool all_are_back = totals->away == 0 && totals->connecting == 0;
    return hold_is_done(lg) ||
           (all_are_back && clients_return(lg->clients)->lost >= lg->return_lost);
}

static void return_print(const struct loadgen *lg)
{
    const struct clients_return *r = clients_return(lg->clients);
    uint64_t took_ns = r->returned > 0 ? r->last_returned_ns - r->first_lost_ns : 0;
    printf("joined=%" PRIu32 " lost=%" PRIu32 " returned=%" PRIu32 " attempts=%" PRIu64
           " seconds=%.3f",
           clients_totals(lg->clients)->joined, r->lost, r->returned, r->attempts,
           (double)took_ns / 1e9);
    print_quantiles("", &r->times);
    putchar('\n');
}

static const char *views_begin(struct loadgen *lg, struct args *args)
{
    lg->refs = take_number_arg(args, "refs", 0, UINT32_MAX);
    lg->hold_until_ns =
        clock_ns() + take_number_arg(args, "patience_ms", 60000, 600000) * NS_PER_MS;
    return check_args(args);
}

static bool views_are_done(const struct loadgen *lg)
{
    return hold_is_done(lg) ||
           presence_views_agree(lg->views, lg->refs) == clients_totals(lg->clients)->joined;
}

static void views_print(const struct loadgen *lg)
{
    printf("joined=%" PRIu32 " agree=%" PRIu32 " seconds=%.3f\n",
           clients_totals(lg->clients)->joined, presence_views_agree(lg->views, lg->refs),
           (double)(clock_ns() - lg->start_ns) / 1e9);
}

static const char *churn_begin(struct loadgen *lg, struct args *args)
{
    const struct churn_plan plan = {
        .per_s = (uint32_t)take_number_arg(args, "rate", 50, 1000000),
        .duration_ns = take_number_arg(args, "ms", 10000, 3600000) * NS_PER_MS,
    };
    const char *wrong = check_args(args);
    return wrong ? wrong : presence_churn_begin(lg->views, &plan);
}

static bool churn_is_done(const struct loadgen *lg)
{
    return !presence_churn_is_running(lg->views);
}

static void churn_print(const struct loadgen *lg)
{
    const struct churn_result *r = presence_churn_result(lg->views);
    printf("leaves=%" PRIu64 " joins=%" PRIu64 " diffs=%" PRIu64 " joined=%" PRIu32
           " errors=%" PRIu32,
           r->leaves, r->joins, r->diffs, clients_totals(lg->clients)->joined,
           clients_totals(lg->clients)->failed);
    print_quantiles("", &r->latencies);
    putchar('\n');
}

static void status_print(const struct loadgen *lg)
{
    const struct clients_totals *totals = clients_totals(lg->clients);
    printf("joined=%" PRIu32 " errors=%" PRIu32 " heartbeats_sent=%" PRIu64
           " heartbeats_answered=%" PRIu64 " unexpected_frames=%" PRIu64 "\n",
           totals->joined, totals->failed, totals->heartbeats_sent, totals->heartbeats_answered,
           totals->unexpected_frames);
}

static const struct command commands[] = {
    {"join", join_begin, join_is_done, join_print},
    {"publish", publish_begin, deliveries_are_done, deliveries_print},
    {"expect", expect_begin, deliveries_are_done, deliveries_print},
    {"begin-expect", expect_begin, is_done_at_once, expecting_print},
    {"end-expect", no_args_begin, deliveries_are_done, deliveries_print},
    {"begin-return", begin_return_begin, is_done_at_once, returning_print},
    {"end-return", end_return_begin, return_is_done, return_print},
    {"views", views_begin, views_are_done, views_print},
    {"churn", churn_begin, churn_is_done, churn_print},
    {"hold", hold_begin, hold_is_done, status_print},
    {"status", no_args_begin, is_done_at_once, status_print},
};

static void begin_command(struct loadgen *lg, char *line)
{
    size_t name_len = strcspn(line, " ");
    struct args args = {.words = line + name_len};
    const char *wrong = "unknown command";
    for (size_t i = 0; i < TK_ARRAY_LEN(commands); i++) {
        if (strlen(commands[i].name) != name_len || memcmp(commands[i].name, line, name_len) != 0)
            continue;
        lg->start_ns = clock_ns();
        wrong = commands[i].begin(lg, &args);
        if (!wrong)
            lg->current = &commands[i];
        break;
    }
    if (wrong)
        printf("error %s: %.*s\n", wrong, (int)name_len, line);
}

static bool begin_next_command(struct loadgen *lg)
{
    char *end = lg->input.len > 0 ? memchr(lg->input.data, '\n', lg->input.len) : NULL;
    if (!end)
        return false;
    *end = '\0';
    size_t size = (size_t)(end - lg->input.data) + 1;
    if (size > 1)
        begin_command(lg, lg->input.data);
    tk_buf_consume(&lg->input, size);
    return true;
}

/* Ends the current command when it is done. True: another one has begun. */
static bool run_commands(struct loadgen *lg)
{
    if (lg->current && !lg->current->is_done(lg))
        return false;
    if (lg->current)
        lg->current->print(lg);
    lg->current = NULL;
    bool is_begun = begin_next_command(lg);
    fflush(stdout);
    return is_begun;
}

static void read_stdin(struct loadgen *lg)
{
    ssize_t n = read(STDIN_FILENO, tk_buf_reserve(&lg->input, MAX_COMMAND), MAX_COMMAND);
    if (n > 0)
        lg->input.len += (size_t)n;
    else if (n == 0 || errno != EINTR)
        lg->is_at_end = true;
    if (lg->is_at_end) {
        tk_buf_append_char(&lg->input, '\n');
        epoll_ctl(lg->epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    }
}

/* The loop ------------------------------------------------------------------------------------- */

static void wait_and_dispatch(struct loadgen *lg, uint64_t until_ns)
{
    static struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t now_ns = clock_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    if (wait_ns > MAX_WAIT_NS)
        wait_ns = MAX_WAIT_NS;
    const struct timespec timeout = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
                                     .tv_nsec = (long)(wait_ns % NS_PER_S)};
    int count = epoll_pwait2(lg->epoll_fd, events, EVENTS_AT_ONCE, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == STDIN_EVENT)
            read_stdin(lg);
        else
            clients_on_event(lg->clients, events[i].data.u64, events[i].events);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void run(struct loadgen *lg)
{
    for (;;) {
        uint64_t now_ns = clock_ns();
        uint64_t next_ns = clients_tick(lg->clients, now_ns);
        next_ns = earlier(next_ns, deliveries_tick(lg->deliveries, now_ns));
        next_ns = earlier(next_ns, presence_churn_tick(lg->views, now_ns));
        if (run_commands(lg))
            continue; /* it may have something to do now */
        if (!lg->current && lg->is_at_end)
            return;
        if (lg->current && lg->hold_until_ns > now_ns)
            next_ns = earlier(next_ns, lg->hold_until_ns);
        wait_and_dispatch(lg, next_ns);
    }
}

/* Beginning ------------------------------------------------------------------------------------ */

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "loadgen: %s%s\n", what, detail);
    exit(EXIT_FAILURE);
}

static void parse_server(const char *url, struct sockaddr_in *server)
{
    char host[16], rest;
    unsigned port;
    *server = (struct sockaddr_in){.sin_family = AF_INET};
    if (sscanf(url, "ws://%15[0-9.]:%5u/socke%c", host, &port, &rest) != 3 || rest != 't' ||
        port == 0 || port > 65535 || inet_pton(AF_INET, host, &server->sin_addr) != 1)
        fail("--url must be like ws://127.0.0.1:4000/socket, not ", url);
    server->sin_port = htons((uint16_t)port);
}

static uint32_t parse_count(const char *option, const char *text, uint64_t least)
{
    uint64_t number;
    if (!parse_number(text, 100000000, &number) || number < least)
        fail("not a usable number for --", option);
    return (uint32_t)number;
}

static void parse_option(struct options *o, const char *name, const char *value)
{
    if (strcmp(name, "url") == 0)
        parse_server(value, &o->clients.server);
    else if (strcmp(name, "clients") == 0)
        o->clients.count = parse_count(name, value, 0);
    else if (strcmp(name, "first") == 0)
        o->clients.first = parse_count(name, value, 0);
    else if (strcmp(name, "topic") == 0)
        o->clients.topic = value;
    else if (strcmp(name, "rooms") == 0)
        o->clients.rooms = parse_count(name, value, 1);
    else if (strcmp(name, "heartbeat-ms") == 0)
        o->clients.heartbeat_ms = parse_count(name, value, 1);
    else if (strcmp(name, "read-bytes-per-s") == 0)
        o->clients.read_bytes_per_s = parse_count(name, value, 0);
    else if (strcmp(name, "join-limit-ms") == 0)
        o->clients.join_limit_ms = parse_count(name, value, 1);
    else if (strcmp(name, "comes-back") == 0)
        o->clients.comes_back = parse_count(name, value, 0) > 0;
    else
        o->redis_url = value;
}

static void parse_command_line(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"url", required_argument, NULL, 'o'},
        {"clients", required_argument, NULL, 'o'},
        {"first", required_argument, NULL, 'o'},
        {"topic", required_argument, NULL, 'o'},
        {"rooms", required_argument, NULL, 'o'},
        {"heartbeat-ms", required_argument, NULL, 'o'},
        {"join-limit-ms", required_argument, NULL, 'o'},
        {"read-bytes-per-s", required_argument, NULL, 'o'},
        {"comes-back", required_argument, NULL, 'o'},
        {"redis", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int found, index;
    while ((found = getopt_long(argc, argv, "", known, &index)) != -1) {
        if (found == 'h') {
            fputs(usage_text, stdout);
            exit(EXIT_SUCCESS);
        }
        if (found != 'o')
            exit(EXIT_FAILURE);
        parse_option(o, known[index].name, optarg);
    }
    if (optind < argc)
        fail("unexpected argument: ", argv[optind]);
}

static void raise_file_limit(uint32_t clients)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        fail("getrlimit: ", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < (rlim_t)clients + SPARE_FILES)
        fail("the limit of open files does not allow so many clients in one process; use several "
             "processes with --first",
             "");
}

static redisContext *connect_redis(const char *url)
{
    struct tk_redis_address address;
    redisContext *redis;
    const char *why;
    char reason[200];
    if (tk_redis_url(url, &address, &why))
        fail("--redis ", why);
    if (tk_redis_connect(&address, REDIS_TIMEOUT_MS, &redis, reason, sizeof(reason)))
        fail("Redis: ", reason);
    tk_redis_address_fini(&address);
    return redis;
}

static void watch_stdin(const struct loadgen *lg)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STDIN_EVENT};
    if (epoll_ctl(lg->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event))
        fail("commands must come from a pipe or a terminal: ", strerror(errno));
}

int main(int argc, char **argv)
{
    struct loadgen lg = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    struct options o = {
        .clients =
            {
                .count = 1000,
                .topic = "notifications",
                .heartbeat_ms = 30000,
                .join_limit_ms = 10000,
            },
    };
    parse_server("ws://127.0.0.1:4000/socket", &o.clients.server);
    parse_command_line(&o, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit(o.clients.count);
    if (o.redis_url)
        lg.redis = connect_redis(o.redis_url);
    watch_stdin(&lg);
    lg.clients = clients_new(lg.epoll_fd, &o.clients);
    lg.deliveries = deliveries_new(lg.clients, o.clients.count, lg.redis);
    lg.views = presence_views_new(lg.clients, o.clients.count);
    run(&lg);
    presence_views_free(lg.views);
    clients_free(lg.clients);
    deliveries_free(lg.deliveries);
    if (lg.redis)
        redisFree(lg.redis);
    tk_buf_fini(&lg.input);
    close(lg.epoll_fd);
    return EXIT_SUCCESS;
}
