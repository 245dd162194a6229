/* SPDX-License-Identifier: MIT */
/*
 * The listening socket never blocks an accept: workers wait in epoll, where a signal cannot slip in
 * between "shall I stop?" and the wait.
 */
#include "fcgi-api/listen_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"
#define BACKLOG     1024 /* the kernel lowers it to its own limit */

#define FIRST_ACTIVATED_FD 3

_Static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) == LISTEN_SOCKET_PATH_MAX,
               "a path of a unix socket fits");

static bool is_listening(int fd)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value != 0;
}

enum tk_err listen_socket_activated(int *fd)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    bool is_for_us = pid != NULL && count != NULL && strtoll(pid, NULL, 10) == (long long)getpid();
    bool is_one = is_for_us && strcmp(count, "1") == 0 && is_listening(FIRST_ACTIVATED_FD);

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (!is_for_us)
        return TK_ENOTFOUND;
    *fd = FIRST_ACTIVATED_FD;
    return is_one ? TK_OK : TK_EINVAL;
}

enum gateway_mode gateway_mode_of(const char *listen_address, int fd, bool has_gateway)
{
    if (listen_address != NULL && listen_address[0] != '\0')
        return GATEWAY_LISTEN;
    if (is_listening(fd))
        return GATEWAY_INHERITED;
    return has_gateway ? GATEWAY_CGI : GATEWAY_UNKNOWN;
}

static enum tk_err fail(const char **why)
{
    *why = strerror(errno);
    return TK_EIO;
}

/* TK_OK when path is free now: it was, or a dead socket has been removed. */
static enum tk_err clear_path(const struct sockaddr_un *address, const char **why)
{
    struct stat st;

    if (lstat(address->sun_path, &st) != 0)
        return errno == ENOENT ? TK_OK : fail(why);
    if (!S_ISSOCK(st.st_mode)) {
        *why = "there is a file of that name which is no socket";
        return TK_EEXISTS;
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return fail(why);
    bool is_dead = connect(probe, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                   errno == ECONNREFUSED;
    close(probe);
    if (!is_dead) {
        *why = "somebody else listens there already";
        return TK_EEXISTS;
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT ? TK_OK : fail(why);
}

/* The file has its permissions from its first moment. */
static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode)
{
    mode_t before = umask(0777 & ~mode);
    int result = bind(fd, (const struct sockaddr *)address, sizeof(*address));

    umask(before);
    return result;
}

static enum tk_err open_unix(const char *path, mode_t mode, struct listen_socket *out,
                             const char **why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;

    if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path)) {
        *why = "the path must be absolute and shorter than 108 bytes";
        return TK_EINVAL;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    enum tk_err err = clear_path(&address, why);
    if (err)
        return err;
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out->fd < 0)
        return fail(why);
    if (bind_with_mode(out->fd, &address, mode) != 0 || lstat(path, &st) != 0 ||
        listen(out->fd, BACKLOG) != 0) {
        err = fail(why);
        close(out->fd);
        return err;
    }
    snprintf(out->path, sizeof(out->path), "%s", path);
    out->device = st.st_dev;
    out->inode = st.st_ino;
    return TK_OK;
}

/* Digits up to 65535; getaddrinfo would let larger numbers wrap around. */
static bool is_port(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len <= 5 && strspn(text, "0123456789") == len && atoi(text) <= 65535;
}

/* Splits "host:port" and "[host]:port"; the parts are copied. */
static bool split_host_port(const char *address, char *host, size_t host_size, const char **port)
{
    const char *colon = strrchr(address, ':');

    if (colon == NULL || colon == address || !is_port(colon + 1))
        return false;
    const char *start = address, *end = colon;
    if (*start == '[' && end[-1] == ']') {
        start++;
        end--;
    } else if (memchr(address, ':', (size_t)(colon - address)) != NULL) {
        return false; /* IPv6 needs its brackets */
    }
    if ((size_t)(end - start) >= host_size)
        return false;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    *port = colon + 1;
    return true;
}

static int listen_on(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->ai_protocol);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved_errno = errno;
    close(fd);
    errno = saved_errno;
    return -1;
}

static enum tk_err open_tcp(const char *text, struct listen_socket *out, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    char host[256];
    const char *port;

    if (!split_host_port(text, host, sizeof(host), &port)) {
        *why = "must be unix:/path, host:port or [IPv6 address]:port";
        return TK_EINVAL;
    }
    int result = getaddrinfo(host, port, &hints, &found);
    if (result != 0) {
        *why = gai_strerror(result);
        return TK_EINVAL;
    }
    out->fd = listen_on(found);
    freeaddrinfo(found);
    return out->fd >= 0 ? TK_OK : fail(why);
}

enum tk_err listen_socket_open(const char *address, mode_t mode, struct listen_socket *socket,
                               const char **why)
{
    *socket = (struct listen_socket){.fd = -1};
    if (strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return open_unix(address + strlen(UNIX_PREFIX), mode, socket, why);
    return open_tcp(address, socket, why);
}

enum tk_err listen_socket_inherit(int fd, struct listen_socket *socket)
{
    int flags = fcntl(fd, F_GETFL);

    *socket = (struct listen_socket){.fd = fd};
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? TK_OK : TK_EIO;
}

void listen_socket_close(struct listen_socket *socket)
{
    struct stat st;

    if (socket->path[0] != '\0' && lstat(socket->path, &st) == 0 && st.st_dev == socket->device &&
        st.st_ino == socket->inode)
        unlink(socket->path);
    if (socket->fd >= 0)
        close(socket->fd);
    *socket = (struct listen_socket){.fd = -1};
}
