/* SPDX-License-Identifier: MIT */
/* The socket that web servers connect to, inherited or our own. */
#pragma once

#include <sys/types.h>

#include "common/tk_base.h"

/* How the program has been started. */
enum gateway_mode {
    GATEWAY_LISTEN,    /* told where to listen */
    GATEWAY_INHERITED, /* a listening socket came along: systemd, spawn-fcgi, mod_fcgid */
    GATEWAY_CGI,       /* one request, in the environment */
    GATEWAY_UNKNOWN,   /* from a shell, without an address */
};

/*
 * The socket that systemd has opened for us (LISTEN_FDS, as sd_listen_fds(3) has it). Forgets the
 * variables, so that nobody takes them twice. TK_ENOTFOUND: there is none. TK_EINVAL: not exactly
 * one, or it is no listening socket.
 */
enum tk_err listen_socket_activated(int *fd) TK_MUST_CHECK;

/* listen_address: the setting, NULL when unset; has_gateway: GATEWAY_INTERFACE is set. */
enum gateway_mode gateway_mode_of(const char *listen_address, int fd, bool has_gateway);

#define LISTEN_SOCKET_PATH_MAX 108

struct listen_socket {
    int fd;                            /* nonblocking */
    char path[LISTEN_SOCKET_PATH_MAX]; /* unix socket to remove at the end; empty: none */
    dev_t device; /* which file that is: another one of that name is not ours */
    ino_t inode;
};

/*
 * "unix:/path" or "host:port" ("[::1]:9000"). A socket file that nobody listens on is replaced;
 * one that is in use, or no socket, is not touched. On failure *why (constant or errno text) says
 * what is wrong.
 */
enum tk_err listen_socket_open(const char *address, mode_t mode, struct listen_socket *socket,
                               const char **why) TK_MUST_CHECK;

/* Takes over an inherited listening socket. */
enum tk_err listen_socket_inherit(int fd, struct listen_socket *socket) TK_MUST_CHECK;

/* Closes, and removes the socket file when it still is ours. */
void listen_socket_close(struct listen_socket *socket);
