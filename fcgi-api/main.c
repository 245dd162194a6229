/* SPDX-License-Identifier: MIT */
/*
 * tako-api: how it was started decides what it is, a FastCGI server with workers or one CGI
 * request. Everything that can be wrong with the settings is found here, before any worker starts.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/tk_log.h"
#include "fcgi-api/gateway.h"
#include "fcgi-api/listen_socket.h"
#include "fcgi-api/master.h"

#define EXIT_USAGE     2
#define STOP_MARGIN_MS 5000 /* beyond the longest request, before a worker is killed */

static const char usage[] =
    "usage: tako-api [--listen unix:/path | --listen host:port]\n"
    "       tako-api --help | --version | --check-config | --env-example\n"
    "\n"
    "The HTTP API of tako as a FastCGI program. Without --listen (or TAKO_API_LISTEN) it serves\n"
    "the listening socket it was started with (systemd, spawn-fcgi, mod_fcgid); run by a web\n"
    "server as plain CGI, it answers that one request.\n";

struct worker_start {
    const struct gateway *gateway;
    const struct listen_socket *socket;
};

static void start_log(const struct api_settings *settings, const char *prefix)
{
    enum tk_log_level level;

    if (tk_log_level_parse(settings->log_level, &level) == TK_OK)
        tk_log_init(level, prefix);
}

static int run_worker(void *arg, unsigned number)
{
    const struct worker_start *start = arg;
    char prefix[32];

    snprintf(prefix, sizeof(prefix), "api worker=%u", number);
    start_log(start->gateway->api->settings, prefix);
    return fastcgi_serve(start->gateway, start->socket->fd);
}

static void on_worker(void *arg, bool has_started)
{
    const struct worker_start *start = arg;

    metrics_count_worker(start->gateway->api->metrics, has_started);
}

static int run_server(const struct gateway *gateway, struct listen_socket *socket)
{
    const struct api_settings *settings = gateway->api->settings;
    struct worker_start start = {gateway, socket};
    struct master_options options = {
        .workers = (unsigned)settings->pool_size,
        .work = run_worker,
        .arg = &start,
        .on_worker = on_worker,
        .stop_timeout_ms = (int)settings->request_timeout_ms + STOP_MARGIN_MS,
    };

    int status = master_run(&options);
    listen_socket_close(socket);
    return status;
}

static enum tk_err read_socket_mode(const struct api_settings *settings, mode_t *mode)
{
    enum tk_err err = api_socket_mode(settings->socket_mode, mode);

    if (err)
        tk_log_error("TAKO_API_SOCKET_MODE: must be octal permissions such as 0660");
    return err;
}

static int listen_and_run(const struct gateway *gateway)
{
    const struct api_settings *settings = gateway->api->settings;
    struct listen_socket socket;
    const char *why = NULL;
    mode_t mode;

    if (read_socket_mode(settings, &mode))
        return EXIT_FAILURE;
    if (listen_socket_open(settings->listen, mode, &socket, &why)) {
        tk_log_error("cannot listen on %s: %s", TK_ESCAPE(tk_slice_str(settings->listen)), why);
        return EXIT_FAILURE;
    }
    tk_log_info("listening on %s", TK_ESCAPE(tk_slice_str(settings->listen)));
    return run_server(gateway, &socket);
}

static int inherit_and_run(const struct gateway *gateway, int fd)
{
    struct listen_socket socket;

    if (listen_socket_inherit(fd, &socket)) {
        tk_log_error("the inherited socket cannot be used");
        return EXIT_FAILURE;
    }
    return run_server(gateway, &socket);
}

/* How we were started, and with which socket, if one came along. */
struct start {
    enum gateway_mode mode;
    int inherited_fd;
};

static int run(const struct start *start, const struct gateway *gateway)
{
    switch (start->mode) {
    case GATEWAY_LISTEN:
        return listen_and_run(gateway);
    case GATEWAY_INHERITED:
        return inherit_and_run(gateway, start->inherited_fd);
    default:
        return cgi_serve(gateway);
    }
}

/* api and events are made once, before the workers: they inherit both, not connected to anything.
 */
static int run_with(const struct api_settings *settings, const struct start *start)
{
    struct api api = {0};
    struct gateway gateway = {.api = &api};
    int status = EXIT_FAILURE;

    if (settings->tokens.count == 0)
        tk_log_warn("HOLOQUEST_API_TOKEN is not set: every request is let in (TAKO_DEV)");
    if (api_init(&api, settings) == TK_OK &&
        user_events_new(settings->redis_url, &gateway.events) == TK_OK)
        status = run(start, &gateway);
    else if (start->mode == GATEWAY_CGI)
        status = cgi_serve_unusable();
    user_events_free(gateway.events);
    api_fini(&api);
    return status;
}

/* Everything that is made of the settings at start, for --check-config. */
static enum tk_err try_settings(const void *loaded)
{
    const struct api_settings *settings = loaded;
    struct api api;
    mode_t mode;

    start_log(settings, "api");
    enum tk_err bad_mode = read_socket_mode(settings, &mode);
    enum tk_err err = api_init(&api, settings);
    api_fini(&api);
    return bad_mode ? bad_mode : err;
}

/* --listen ADDRESS or --listen=ADDRESS; false when the command line makes no sense. */
static bool read_command_line(int argc, char **argv, const char **listen_address)
{
    static const char option[] = "--listen";

    *listen_address = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], option) == 0 && i + 1 < argc)
            *listen_address = argv[++i];
        else if (strncmp(argv[i], option, strlen(option)) == 0 && argv[i][strlen(option)] == '=')
            *listen_address = argv[i] + strlen(option) + 1;
        else
            return false;
    }
    return true;
}

static enum tk_err load_settings(struct api_settings *settings, const char *listen_address)
{
    enum tk_err err = tk_settings_load(&api_settings_table, tk_settings_getenv, settings, stderr);

    if (err)
        return err;
    start_log(settings, "api");
    if (listen_address != NULL) {
        free(settings->listen);
        settings->listen = tk_xstrdup(listen_address);
    }
    return TK_OK;
}

static int refuse(const char *why)
{
    fprintf(stderr, "tako-api: %s\n%s", why, usage);
    return EXIT_USAGE;
}

/* A socket from systemd goes before the setting: whoever set that up meant it. */
static struct start choose_start(const struct api_settings *settings, bool has_gateway)
{
    struct start start = {.inherited_fd = STDIN_FILENO};
    enum tk_err err = listen_socket_activated(&start.inherited_fd);

    if (err == TK_EINVAL)
        tk_log_error("LISTEN_FDS: exactly one listening socket must be handed over");
    if (err == TK_ENOTFOUND)
        start.mode = gateway_mode_of(settings->listen, start.inherited_fd, has_gateway);
    else
        start.mode = err ? GATEWAY_UNKNOWN : GATEWAY_INHERITED;
    return start;
}

/* With 0, 1 or 2 closed, a database connection could become our standard output. */
static void fill_standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    struct api_settings settings = {0};
    const char *listen_address;
    bool has_gateway = getenv("GATEWAY_INTERFACE") != NULL;
    int status;

    fill_standard_files();
    /* A web server may make arguments of a query string (RFC 3875): "?--check-config" is no order.
     */
    if (has_gateway)
        argc = 1;
    if (tk_settings_command_line(&api_settings_table, sizeof(settings), try_settings, usage, argc,
                                 argv, &status))
        return status;
    if (!read_command_line(argc, argv, &listen_address))
        return refuse("unknown option");
    enum tk_err err = load_settings(&settings, listen_address);
    struct start start = choose_start(&settings, has_gateway);
    if (err) {
        status = start.mode == GATEWAY_CGI ? cgi_serve_unusable() : EXIT_FAILURE;
    } else if (start.mode == GATEWAY_UNKNOWN) {
        status = refuse("nothing to listen on: no --listen, TAKO_API_LISTEN or inherited socket");
    } else {
        status = run_with(&settings, &start);
    }
    tk_settings_free(&api_settings_table, &settings);
    return status;
}
