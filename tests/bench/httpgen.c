/* SPDX-License-Identifier: MIT */
/*
 * tests/bench's HTTP load generator: some keep-alive connections to a web server on 127.0.0.1, each
 * sending the next request when the last one is answered, for some seconds. The request is read
 * from stdin as it goes over the wire, except that every {number} becomes 12 random hex digits. One
 * line of key=value pairs tells the result.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/tk_buf.h"
#include "tests/bench/clock.h"
#include "tests/bench/histogram.h"

#define PLACEHOLDER     "{number}"
#define NUMBER_DIGITS   12
#define READ_SIZE       65536
#define MAX_RESPONSE    (4U << 20)
#define MAX_CONNECTIONS 1024
#define STALL_MS        10000 /* without any answer at all: something is wrong */

static const char usage_text[] =
    "usage: httpgen --port N [option...] < request\n"
    "\n"
    "  --connections N  at a time (16)\n"
    "  --seconds N      how long (5)\n"
    "  --numbers N      {number} is below N, which is at most 2^31 (1)\n";

struct options {
    unsigned port, connections, seconds, numbers;
};

struct connection {
    int fd;
    struct tk_buf out, in;
    uint64_t sent_ns;
};

struct httpgen {
    struct options options;
    struct tk_buf request; /* with its placeholders */
    int epoll_fd;
    struct connection *connections;
    uint64_t random;
    uint64_t end_ns;
    uint64_t answers, refused; /* refused: not 2xx */
    struct histogram times_us;
};

static void fail(const char *what)
{
    fprintf(stderr, "httpgen: %s\n", what);
    exit(EXIT_FAILURE);
}

static void fail_errno(const char *what)
{
    fprintf(stderr, "httpgen: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* xorshift64: the same sequence in every run. */
static uint64_t next_random(struct httpgen *g)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return g->random;
}

static void write_request(struct httpgen *g, struct tk_buf *out)
{
    const char *at = tk_buf_str(&g->request), *mark;

    tk_buf_clear(out);
    for (; (mark = strstr(at, PLACEHOLDER)) != NULL; at = mark + strlen(PLACEHOLDER)) {
        tk_buf_append(out, at, (size_t)(mark - at));
        tk_buf_appendf(out, "%0*" PRIx64, NUMBER_DIGITS, next_random(g) % g->options.numbers);
    }
    tk_buf_append_str(out, at);
}

static void open_connection(struct httpgen *g, struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)g->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail_errno("connect");
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail_errno("socket");
}

/* Requests are small: they fit into the socket's empty buffer at once. */
static void send_request(struct httpgen *g, struct connection *c)
{
    write_request(g, &c->out);
    tk_buf_clear(&c->in);
    c->sent_ns = clock_ns();
    if (send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL) != (ssize_t)c->out.len)
        fail_errno("send");
}

/* The value of a header in head, or NULL. */
static const char *find_header(const char *head, const char *name)
{
    for (const char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0)
            return line + strlen(name);
    }
    return NULL;
}

/* What is known of an answer once its head is complete. */
struct answer {
    unsigned status;
    size_t len; /* head and body */
    bool closes;
};

static bool read_head(struct tk_buf *in, struct answer *answer)
{
    char *text = (char *)tk_buf_str(in), *end = strstr(text, "\r\n\r\n");

    if (end == NULL)
        return false;
    end[2] = '\0';
    const char *length = find_header(text, "Content-Length: ");
    const char *connection = find_header(text, "Connection: ");
    if (strncmp(text, "HTTP/1.1 ", 9) != 0)
        fail("the answer is not HTTP/1.1");
    answer->status = (unsigned)strtoul(text + 9, NULL, 10);
    answer->len = (size_t)(end + 4 - text) + (length != NULL ? strtoul(length, NULL, 10) : 0);
    answer->closes = connection != NULL && strncmp(connection, "close", 5) == 0;
    end[2] = '\r';
    return true;
}

static void on_answer(struct httpgen *g, struct connection *c, const struct answer *answer)
{
    uint64_t now = clock_ns();

    g->answers++;
    if (answer->status < 200 || answer->status > 299)
        g->refused++;
    histogram_add(&g->times_us, (now - c->sent_ns) / 1000);
    if (answer->closes) {
        close(c->fd);
        open_connection(g, c);
    }
    send_request(g, c);
}

static void on_readable(struct httpgen *g, struct connection *c)
{
    struct answer answer;
    ssize_t got = read(c->fd, tk_buf_reserve(&c->in, READ_SIZE), READ_SIZE);

    if (got <= 0)
        fail("the web server closed a connection in the middle");
    c->in.len += (size_t)got;
    if (c->in.len > MAX_RESPONSE)
        fail("an answer is too large");
    if (!read_head(&c->in, &answer) || c->in.len < answer.len)
        return;
    if (c->in.len > answer.len)
        fail("there is more than one answer");
    on_answer(g, c, &answer);
}

static void run(struct httpgen *g)
{
    struct epoll_event events[64];

    g->end_ns = clock_ns() + g->options.seconds * NS_PER_S;
    for (unsigned i = 0; i < g->options.connections; i++) {
        open_connection(g, &g->connections[i]);
        send_request(g, &g->connections[i]);
    }
    while (clock_ns() < g->end_ns) {
        int count = epoll_wait(g->epoll_fd, events, TK_ARRAY_LEN(events), STALL_MS);
        if (count == 0)
            fail("no answers any more");
        for (int i = 0; i < count; i++)
            on_readable(g, events[i].data.ptr);
    }
}

static void print_result(const struct httpgen *g, double seconds)
{
    printf("answers=%" PRIu64 " refused=%" PRIu64 " seconds=%.3f per_s=%.1f p50_us=%" PRIu64
           " p99_us=%" PRIu64 "\n",
           g->answers, g->refused, seconds, (double)g->answers / seconds,
           histogram_quantile(&g->times_us, 0.5), histogram_quantile(&g->times_us, 0.99));
}

static void read_request(struct tk_buf *request)
{
    size_t got;

    do {
        got = fread(tk_buf_reserve(request, READ_SIZE), 1, READ_SIZE, stdin);
        request->len += got;
    } while (got > 0);
    if (request->len == 0)
        fail("no request on stdin");
}

static unsigned read_number(const char *text, unsigned long max)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || number == 0 || number > max)
        fail("an option's value is not a number, or out of range");
    return (unsigned)number;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option names[] = {{"port", required_argument, NULL, 'p'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"numbers", required_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.connections = 16, .seconds = 5, .numbers = 1};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'p':
            options.port = read_number(optarg, 65535);
            break;
        case 'c':
            options.connections = read_number(optarg, MAX_CONNECTIONS);
            break;
        case 's':
            options.seconds = read_number(optarg, 3600);
            break;
        case 'n':
            options.numbers = read_number(optarg, 1UL << 31);
            break;
        default:
            fail(usage_text);
        }
    }
    if (options.port == 0 || optind != argc)
        fail(usage_text);
    return options;
}

int main(int argc, char **argv)
{
    struct httpgen g = {.options = read_options(argc, argv), .random = 88172645463325252U};

    g.connections = tk_xcalloc(g.options.connections, sizeof(*g.connections));
    g.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (g.epoll_fd < 0)
        fail_errno("epoll");
    read_request(&g.request);
    uint64_t start = clock_ns();
    run(&g);
    print_result(&g, (double)(clock_ns() - start) / (double)NS_PER_S);
    for (unsigned i = 0; i < g.options.connections; i++) {
        close(g.connections[i].fd);
        tk_buf_fini(&g.connections[i].in);
        tk_buf_fini(&g.connections[i].out);
    }
    free(g.connections);
    tk_buf_fini(&g.request);
    close(g.epoll_fd);
    return EXIT_SUCCESS;
}
