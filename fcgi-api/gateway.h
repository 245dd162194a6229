/* SPDX-License-Identifier: MIT */
/* The two ways requests come in; both end in api_handle. */
#pragma once

#include "fcgi-api/api.h"
#include "fcgi-api/user_events.h"

struct gateway {
    struct api *api;
    struct user_events *events; /* NULL: nobody is told */
};

/*
 * A worker: answers FastCGI requests from listen_fd (nonblocking) until a stop signal. Expects the
 * stop signals blocked (master.h). Returns the exit status.
 */
int fastcgi_serve(const struct gateway *gateway, int listen_fd);

/* Plain CGI: the one request in the environment. Returns the exit status. */
int cgi_serve(const struct gateway *gateway);

/* The same when there is nothing to serve it with, because the settings are bad. */
int cgi_serve_unusable(void);
