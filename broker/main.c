/* SPDX-License-Identifier: MIT */
/* tako-broker: reads its settings and hands over to the supervisor. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/connect/upgrade.h"
#include "broker/settings.h"
#include "broker/supervisor.h"
#include "broker/websocket/ws_transport.h"
#include "common/tk_log.h"

static const char usage[] =
    "usage: tako-broker [--help | --version | --check-config | --env-example]\n"
    "\n"
    "The websocket broker of tako: Phoenix channels and presence on one port, spread over\n"
    "worker processes. Runs in the foreground; SIGTERM drains it (clients get 1012 and\n"
    "reconnect elsewhere).\n";

static const char name_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static enum tk_err check_node_name(const char *name)
{
    if (!name || strspn(name, name_characters) == strlen(name))
        return TK_OK;
    fputs("tako-broker: TAKO_NODE: may have letters, digits, '.', '_' and '-' only\n", stderr);
    return TK_EINVAL;
}

static enum tk_err check_origins(const struct tk_string_list *origins)
{
    enum tk_err err = TK_OK;
    for (size_t i = 0; i < origins->count; i++) {
        struct tk_slice rule = tk_slice_str(origins->items[i]);
        if (origin_rule_is_valid(rule))
            continue;
        fprintf(stderr,
                "tako-broker: TAKO_SOCKET_ORIGINS: \"%s\" is not of the form https://host, //host "
                "or //*.host:port, without a path\n",
                TK_ESCAPE(rule));
        err = TK_EINVAL;
    }
    return err;
}

static enum tk_err check_transport(const char *name)
{
    if (ws_transport_exists(name))
        return TK_OK;
    fputs("tako-broker: TAKO_TRANSPORT: must be one of epoll lws\n", stderr);
    return TK_EINVAL;
}

/* All of them, so that one run tells of everything that is wrong. */
static enum tk_err check(const void *loaded)
{
    const struct broker_settings *settings = loaded;
    enum tk_err name = check_node_name(settings->node_name);
    enum tk_err transport = check_transport(settings->transport);
    enum tk_err origins = check_origins(&settings->origins);
    return name ? name : transport ? transport : origins;
}

static int run(const struct broker_settings *settings)
{
    enum tk_log_level level = TK_LOG_INFO;
    (void)!tk_log_level_parse(settings->log_level, &level); /* checked while loading */
    tk_log_init(level, "broker");
    return supervisor_run(settings);
}

int main(int argc, char **argv)
{
    struct broker_settings settings = {0};
    int status = EXIT_FAILURE;
    if (tk_settings_command_line(&broker_settings_table, sizeof(settings), check, usage, argc, argv,
                                 &status))
        return status;
    if (argc > 1) {
        fprintf(stderr, "tako-broker: unknown option\n%s", usage);
        return 2;
    }
    if (tk_settings_load(&broker_settings_table, tk_settings_getenv, &settings, stderr) ||
        check(&settings))
        fputs("tako-broker --help lists every setting.\n", stderr);
    else
        status = run(&settings);
    tk_settings_free(&broker_settings_table, &settings);
    return status;
}
