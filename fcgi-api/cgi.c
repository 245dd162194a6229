/* SPDX-License-Identifier: MIT */
/* One request from environment and standard input, one answer to standard output, then the end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/tk_clock.h"
#include "common/tk_log.h"
#include "fcgi-api/gateway.h"

static ssize_t read_input(void *arg, char *into, size_t size)
{
    uint64_t *taken = arg;
    ssize_t got;

    do {
        got = read(STDIN_FILENO, into, size);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        *taken += (uint64_t)got;
    return got;
}

/*
 * What is left of a body that was refused unread. Under some web servers (mod_cgid) input and
 * output are one socket, and closing it with unread input takes the answer along. The alarm ends
 * it.
 */
static void drain_input(const struct request *request, uint64_t *taken)
{
    const char *length = request->headers[HEADER_CONTENT_LENGTH];
    bool may_have_body = (request->method & (HTTP_GET | HTTP_HEAD | HTTP_OPTIONS)) == 0;
    uint64_t announced = length != NULL  ? strtoull(length, NULL, 10)
                         : may_have_body ? UINT64_MAX
                                         : 0;
    char unread[4096];

    while (*taken < announced && read_input(taken, unread, sizeof(unread)) > 0)
        ;
}

/* Writes all and closes, so that the web server sees the end before we are done with our own. */
static bool write_output(struct tk_slice out)
{
    while (out.len > 0) {
        ssize_t written = write(STDOUT_FILENO, out.ptr, out.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        out = tk_slice(out.ptr + written, out.len - (size_t)written);
    }
    /* Not closed but replaced: nothing that is opened later may become standard output. */
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return null >= 0 && dup2(null, STDOUT_FILENO) >= 0 && close(null) == 0;
}

static bool send_response(const struct response *response, const struct request *request,
                          const struct tk_string_list *cors_origins)
{
    struct tk_buf out = {0};

    response_write(response, request, cors_origins, &out);
    bool ok = write_output(tk_buf_slice(&out));
    tk_buf_fini(&out);
    return ok;
}

static void begin_request(struct request *request, uint64_t *taken)
{
    signal(SIGPIPE, SIG_IGN);
    request_init(request, environ, (struct body_source){read_input, taken});
}

int cgi_serve(const struct gateway *gateway)
{
    const struct api_settings *settings = gateway->api->settings;
    struct request request;
    struct response response = {0};
    uint64_t start = tk_clock_us(), taken = 0;

    /* Whoever is slow: past its time the process ends, and the web server answers for it. */
    alarm((unsigned)((settings->request_timeout_ms + 999) / 1000));
    begin_request(&request, &taken);
    api_handle(gateway->api, &request, &response);
    bool sent = send_response(&response, &request, &settings->cors_origins);
    drain_input(&request, &taken);
    api_record(gateway->api, &request, &response, tk_clock_us() - start);
    if (response.user_event.len > 0 && gateway->events != NULL)
        user_events_publish(gateway->events, tk_buf_slice(&response.user_event));
    response_fini(&response);
    request_fini(&request);
    return sent ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cgi_serve_unusable(void)
{
    char any[] = "*", *items[] = {any};
    struct tk_string_list origins = {items, 1};
    struct request request;
    struct response response = {0};
    uint64_t taken = 0;

    begin_request(&request, &taken);
    api_answer_unusable(&response);
    (void)send_response(&response, &request, &origins);
    drain_input(&request, &taken);
    response_fini(&response);
    request_fini(&request);
    return EXIT_FAILURE;
}
