/* SPDX-License-Identifier: MIT */
/* How the program was started, and the socket it listens on. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi-api/listen_socket.h"
#include "fcgi-api/settings.h"

static char folder[64], address[96], path[80];

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/tako-listen-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/s", folder);
    snprintf(address, sizeof(address), "unix:%s", path);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

static enum tk_err try_open(const char *where, struct listen_socket *opened)
{
    const char *why = NULL;
    enum tk_err err = listen_socket_open(where, 0660, opened, &why);

    assert_int_equal(err == TK_OK, why == NULL);
    return err;
}

static bool can_connect(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    bool ok = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
    close(fd);
    return ok;
}

static void a_unix_socket_has_its_mode(void **state)
{
    struct listen_socket opened;
    struct stat st;

    assert_int_equal(try_open(address, &opened), TK_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_true(can_connect());
    assert_true(fcntl(opened.fd, F_GETFL) & O_NONBLOCK);
    listen_socket_close(&opened);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_dead_socket_is_replaced(void **state)
{
    struct listen_socket first, second;

    assert_int_equal(try_open(address, &first), TK_OK);
    close(first.fd); /* as after kill -9: the file stays */
    assert_int_equal(try_open(address, &second), TK_OK);
    assert_true(can_connect());
    listen_socket_close(&second);
}

static void a_live_socket_is_not_taken_away(void **state)
{
    struct listen_socket first, second;

    assert_int_equal(try_open(address, &first), TK_OK);
    assert_int_equal(try_open(address, &second), TK_EEXISTS);
    assert_true(can_connect());
    listen_socket_close(&first);
}

static void another_file_is_not_touched(void **state)
{
    struct listen_socket opened;
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(try_open(address, &opened), TK_EEXISTS);
    assert_int_equal(access(path, F_OK), 0);
}

/* A successor has put its own socket there meanwhile. */
static void a_successors_socket_stays(void **state)
{
    struct listen_socket first, second;

    assert_int_equal(try_open(address, &first), TK_OK);
    unlink(path);
    assert_int_equal(try_open(address, &second), TK_OK);
    listen_socket_close(&first);
    assert_true(can_connect());
    listen_socket_close(&second);
}

static void tcp_addresses(void **state)
{
    struct listen_socket opened;

    assert_int_equal(try_open("127.0.0.1:0", &opened), TK_OK);
    listen_socket_close(&opened);
}

static void bad_addresses(void **state)
{
    static const char *const bad[] = {
        "",
        "unix:",
        "unix:relative",
        "nonsense",
        "127.0.0.1",
        ":9000",
        "host:",
        "::1:9000",
        "127.0.0.1:99999999",
        "127.0.0.1:port name",
        "unix:/nonexistent/folder/s",
    };
    struct listen_socket opened;

    for (size_t i = 0; i < TK_ARRAY_LEN(bad); i++) {
        if (try_open(bad[i], &opened) == TK_OK)
            fail_msg("%s", bad[i]);
    }
}

static void the_mode_is_told_from_the_surroundings(void **state)
{
    struct listen_socket opened;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(try_open(address, &opened), TK_OK);
    assert_int_equal(gateway_mode_of("unix:/x", opened.fd, true), GATEWAY_LISTEN);
    assert_int_equal(gateway_mode_of(NULL, opened.fd, false), GATEWAY_INHERITED);
    assert_int_equal(gateway_mode_of("", opened.fd, true), GATEWAY_INHERITED);
    assert_int_equal(gateway_mode_of(NULL, pair[0], true), GATEWAY_CGI); /* a socket as stdin */
    assert_int_equal(gateway_mode_of(NULL, -1, true), GATEWAY_CGI);
    assert_int_equal(gateway_mode_of(NULL, pair[0], false), GATEWAY_UNKNOWN);
    listen_socket_close(&opened);
    close(pair[0]);
    close(pair[1]);
}

static void an_inherited_socket_stops_blocking(void **state)
{
    struct listen_socket opened, inherited;

    assert_int_equal(try_open(address, &opened), TK_OK);
    assert_int_equal(fcntl(opened.fd, F_SETFL, 0), 0);
    assert_int_equal(listen_socket_inherit(opened.fd, &inherited), TK_OK);
    assert_true(fcntl(opened.fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(listen_socket_inherit(-1, &inherited), TK_EIO);
    listen_socket_close(&opened);
}

static void socket_modes(void **state)
{
    mode_t mode;

    assert_int_equal(api_socket_mode("0660", &mode), TK_OK);
    assert_int_equal(mode, 0660);
    assert_int_equal(api_socket_mode("777", &mode), TK_OK);
    assert_int_equal(mode, 0777);
    assert_int_equal(api_socket_mode("", &mode), TK_EINVAL);
    assert_int_equal(api_socket_mode("0668", &mode), TK_EINVAL);
    assert_int_equal(api_socket_mode("1777", &mode), TK_EINVAL);
    assert_int_equal(api_socket_mode("-660", &mode), TK_EINVAL);
    assert_int_equal(api_socket_mode("00660", &mode), TK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_unix_socket_has_its_mode, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_dead_socket_is_replaced, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_live_socket_is_not_taken_away, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(another_file_is_not_touched, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_successors_socket_stays, make_folder, remove_folder),
        cmocka_unit_test(tcp_addresses),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test_setup_teardown(the_mode_is_told_from_the_surroundings, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(an_inherited_socket_stops_blocking, make_folder,
                                        remove_folder),
        cmocka_unit_test(socket_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
