/* SPDX-License-Identifier: MIT */
/* tako-broker: reads its settings and hands over to the supervisor. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/settings.h"
#include "broker/supervisor.h"
#include "broker/upgrade.h"
#include "common/tk_log.h"

static const char usage[] =
    "usage: tako-broker [--help | --version | --check-config | --env-example]\n"
    "\n"
    "The websocket broker of tako: Phoenix channels and presence on one port, spread over\n"
    "worker processes. Runs in the foreground; SIGTERM drains it (clients get 1012 and\n"
    "reconnect elsewhere).\n";

static const char name_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static bool check(const struct broker_settings *settings)
{
    enum tk_log_level level;
    if (tk_log_level_parse(settings->log_level, &level)) {
        fputs("TAKO_LOG_LEVEL: must be error, warn, info or debug\n", stderr);
        return false;
    }
    if (settings->node_name &&
        strspn(settings->node_name, name_characters) != strlen(settings->node_name)) {
        fputs("TAKO_NODE: may have letters, digits, '.', '_' and '-' only\n", stderr);
        return false;
    }
    for (size_t i = 0; i < settings->origins.count; i++)
        if (!origin_rule_is_valid(tk_slice_str(settings->origins.items[i]))) {
            fprintf(stderr,
                    "TAKO_SOCKET_ORIGINS: %s is not of the form https://host, //host or "
                    "//*.host:port, without a path\n",
                    settings->origins.items[i]);
            return false;
        }
    tk_log_init(level, "broker");
    return true;
}

int main(int argc, char **argv)
{
    struct broker_settings settings = {0};
    int status = EXIT_FAILURE;
    if (tk_settings_command_line(&broker_settings_table, sizeof(settings), usage, argc, argv,
                                 &status))
        return status;
    if (argc > 1) {
        fprintf(stderr, "tako-broker: unknown option\n%s", usage);
        return 2;
    }
    if (tk_settings_load(&broker_settings_table, (tk_getenv_fn)getenv, &settings, stderr))
        fputs("tako-broker --help lists every setting.\n", stderr);
    else if (check(&settings))
        status = supervisor_run(&settings);
    tk_settings_free(&broker_settings_table, &settings);
    return status;
}
