/* SPDX-License-Identifier: MIT */
/*
 * The loop of a worker around libfcgi. Stop signals are blocked except while it waits for a
 * connection, so a request that has begun is always finished. A watchdog closes the web server's
 * connection when a request as a whole takes too long, whoever is slow.
 *
 * A connection carries one request, even when the web server asks to keep it: a worker that waits
 * on a kept connection is lost for everybody else.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"
#include "fcgi-api/gateway.h"
#include "fcgi-api/master.h"

#define ACCEPT_PAUSE_MS 100 /* after an accept that failed for want of resources */

/* Signal handlers have no other way to reach what they are about. */
static volatile sig_atomic_t stop_requested;
static volatile sig_atomic_t watchdog_fired;
static FCGX_Request *volatile watched;

struct worker {
    const struct gateway *gateway;
    FCGX_Request fcgi;
    int epoll_fd;
    sigset_t waiting_mask; /* while waiting: nothing blocked */
    uint64_t body_taken;   /* of the current request */
    struct tk_log_limit accept_complaints;
};

static void on_stop(int signal_number)
{
    (void)signal_number;
    stop_requested = 1;
}

/* Every read and write on the connection fails from now on. */
static void on_watchdog(int signal_number)
{
    int saved_errno = errno;

    (void)signal_number;
    if (watched != NULL && watched->ipcFd >= 0)
        shutdown(watched->ipcFd, SHUT_RDWR);
    watchdog_fired = 1;
    errno = saved_errno;
}

static void install_handlers(void)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    struct sigaction stop = {.sa_handler = on_stop};
    struct sigaction watchdog = {.sa_handler = on_watchdog, .sa_flags = SA_RESTART};

    for (size_t i = 0; i < TK_ARRAY_LEN(stops); i++)
        sigaction(stops[i], &stop, NULL);
    sigaction(SIGALRM, &watchdog, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

/*
 * From a connection's arrival on. It keeps firing: FCGX_Accept_r goes on to the next connection by
 * itself when one sends no request in time. Between requests it finds nothing to close.
 */
static void start_watchdog(int64_t ms)
{
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    struct itimerval timer = {.it_value = limit, .it_interval = limit};

    setitimer(ITIMER_REAL, &timer, NULL);
    watchdog_fired = 0;
}

static ssize_t read_body(void *arg, char *into, size_t size)
{
    struct worker *w = arg;
    int got = FCGX_GetStr(into, (int)size, w->fcgi.in);

    if (got == 0 && FCGX_GetError(w->fcgi.in) != 0)
        return -1;
    w->body_taken += (uint64_t)got;
    return got;
}

/* Has the web server nothing more to send? When all that was announced is there, its end is next.
 */
static bool has_all_input(const struct worker *w, const struct request *request)
{
    const char *length = request->headers[HEADER_CONTENT_LENGTH];
    char more;

    if (FCGX_HasSeenEOF(w->fcgi.in) != 0)
        return FCGX_GetError(w->fcgi.in) == 0;
    return w->body_taken == (length != NULL ? strtoull(length, NULL, 10) : 0) &&
           FCGX_GetStr(&more, 1, w->fcgi.in) == 0 && FCGX_GetError(w->fcgi.in) == 0;
}

/*
 * libfcgi closes in two steps: its own half, then it waits for the web server to close too. That
 * is for a web server that is still sending, which would lose the answer otherwise. When all of
 * the request is there, one step does, and the worker is free at once.
 */
static void choose_close(struct worker *w, const struct request *request)
{
    if (has_all_input(w, request))
        FCGX_Detach(&w->fcgi);
    else
        FCGX_Attach(&w->fcgi);
}

/* The client's part: from the request in w->fcgi to the last byte of the answer. */
static void answer(struct worker *w, struct request *request, struct response *response)
{
    struct api *api = w->gateway->api;
    struct tk_buf out = {0};

    api_handle(api, request, response);
    response_write(response, request, &api->settings->cors_origins, &out);
    if (FCGX_PutStr(out.data, (int)out.len, w->fcgi.out) < 0)
        tk_log_info("client gone request_id=%s", request->id);
    tk_buf_fini(&out);
}

static void serve_request(struct worker *w)
{
    struct body_source body = {read_body, w};
    struct request request;
    struct response response = {0};
    uint64_t start = tk_clock_us();

    w->fcgi.keepConnection = 0;
    w->body_taken = 0;
    request_init(&request, w->fcgi.envp, body);
    answer(w, &request, &response);
    if (watchdog_fired)
        tk_log_warn("request took too long and was cut off request_id=%s", request.id);
    api_record(w->gateway->api, &request, &response, tk_clock_us() - start);
    choose_close(w, &request);
    request_fini(&request); /* before the environment it points into goes */
    FCGX_Finish_r(&w->fcgi);
    if (response.user_event.len > 0 && w->gateway->events != NULL)
        user_events_publish(w->gateway->events, tk_buf_slice(&response.user_event));
    response_fini(&response);
}

static void on_accept_failure(struct worker *w, int error)
{
    struct timespec pause = {.tv_nsec = ACCEPT_PAUSE_MS * 1000000L};
    uint64_t suppressed;

    if (error == EAGAIN)
        return; /* another worker was faster, or it was no FastCGI */
    if (tk_log_allow(&w->accept_complaints, tk_clock_us() / 1000, &suppressed))
        tk_log_error("accept: %s", strerror(error));
    nanosleep(&pause, NULL);
}

static void accept_and_serve(struct worker *w)
{
    start_watchdog(w->gateway->api->settings->request_timeout_ms);
    int result = FCGX_Accept_r(&w->fcgi);
    if (result == 0) {
        serve_request(w);
        return;
    }
    on_accept_failure(w, -result);
}

/* False when a signal came instead. */
static bool wait_for_connection(struct worker *w)
{
    struct epoll_event event;

    return epoll_pwait(w->epoll_fd, &event, 1, -1, &w->waiting_mask) > 0;
}

/* EPOLLEXCLUSIVE: a new connection wakes one waiting worker, not all. */
static enum tk_err open_epoll(struct worker *w, int listen_fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};

    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll_fd < 0)
        return TK_EIO;
    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) == 0 ? TK_OK : TK_EIO;
}

int fastcgi_serve(const struct gateway *gateway, int listen_fd)
{
    struct worker w = {.gateway = gateway};

    if (open_epoll(&w, listen_fd) || FCGX_Init() != 0 ||
        FCGX_InitRequest(&w.fcgi, listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) != 0) {
        tk_log_error("worker cannot start: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    sigemptyset(&w.waiting_mask);
    watched = &w.fcgi;
    install_handlers(); /* after FCGX_Init, which brings its own */
    while (!stop_requested) {
        if (wait_for_connection(&w))
            accept_and_serve(&w);
    }
    watched = NULL;
    close(w.epoll_fd);
    return EXIT_SUCCESS;
}
