/* SPDX-License-Identifier: MIT */
/* Whose request it is (H98): only trusted proxies may say. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi-api/client_address.h"

#define MAX_ITEMS 4

/* The address that counts, as text; proxies is a comma separated list. */
static const char *address_of(const char *remote, const char *forwarded, const char *proxies)
{
    static char text[INET6_ADDRSTRLEN];
    char copy[128], *items[MAX_ITEMS], *rest = copy;
    struct tk_string_list list = {items, 0};
    struct trusted_proxies *trusted;
    struct request request = {0};
    size_t bad;

    strcpy(copy, proxies);
    for (char *item; copy[0] != '\0' && (item = strsep(&rest, ",")) != NULL;)
        items[list.count++] = item;
    assert_int_equal(trusted_proxies_new(&list, &trusted, &bad), TK_OK);
    request.headers[HEADER_REMOTE_ADDRESS] = remote;
    request.headers[HEADER_FORWARDED_FOR] = forwarded;
    struct client_address address = client_address_of(&request, trusted);
    trusted_proxies_free(trusted);
    assert_non_null(inet_ntop(AF_INET6, address.bytes, text, sizeof(text)));
    return text;
}

static void without_proxies_the_connection_decides(void **state)
{
    assert_string_equal(address_of("192.0.2.7", NULL, ""), "::ffff:192.0.2.7");
    assert_string_equal(address_of("192.0.2.7", "198.51.100.1", ""), "::ffff:192.0.2.7");
    assert_string_equal(address_of("192.0.2.7", "198.51.100.1", "192.0.2.8"), "::ffff:192.0.2.7");
}

static void a_trusted_proxy_tells_the_address(void **state)
{
    assert_string_equal(address_of("192.0.2.7", "198.51.100.1", "192.0.2.7"),
                        "::ffff:198.51.100.1");
    assert_string_equal(address_of("192.0.2.7", "198.51.100.1", "192.0.2.0/24"),
                        "::ffff:198.51.100.1");
    assert_string_equal(address_of("192.0.2.7", NULL, "192.0.2.0/24"), "::ffff:192.0.2.7");
    assert_string_equal(address_of("2001:db8::1", "198.51.100.1", "2001:db8::/32"),
                        "::ffff:198.51.100.1");
}

/* What stands to the left of the first stranger was written by the stranger. */
static void clients_cannot_pose_as_others(void **state)
{
    assert_string_equal(
        address_of("10.0.0.1", "1.1.1.1, 2.2.2.2,\t10.0.0.2 , 10.0.0.3", "10.0.0.0/8"),
        "::ffff:2.2.2.2");
    assert_string_equal(address_of("10.0.0.1", "1.1.1.1, garbage", "10.0.0.0/8"),
                        "::ffff:10.0.0.1");
    assert_string_equal(address_of("10.0.0.1", "1.1.1.1,", "10.0.0.0/8"), "::ffff:10.0.0.1");
    assert_string_equal(address_of("10.0.0.1", ",,,", "10.0.0.0/8"), "::ffff:10.0.0.1");
}

static void networks_end_at_any_bit(void **state)
{
    assert_string_equal(address_of("10.0.0.127", "1.1.1.1", "10.0.0.0/25"), "::ffff:1.1.1.1");
    assert_string_equal(address_of("10.0.0.128", "1.1.1.1", "10.0.0.0/25"), "::ffff:10.0.0.128");
    assert_string_equal(address_of("10.0.0.128", "1.1.1.1", "0.0.0.0/0"), "::ffff:1.1.1.1");
    assert_string_equal(address_of("::1", "1.1.1.1", "0.0.0.0/0"), "::");
    assert_string_equal(address_of("10.0.0.3", "1.1.1.1", "10.0.0.1,10.0.0.3/32"),
                        "::ffff:1.1.1.1");
}

static void a_client_has_a_whole_ipv6_network(void **state)
{
    assert_string_equal(address_of("2001:db8:1:2:3:4:5:6", NULL, ""), "2001:db8:1:2::");
    assert_string_equal(address_of("2001:db8:1:2::9", NULL, ""), "2001:db8:1:2::");
}

static void nonsense_is_one_address(void **state)
{
    assert_string_equal(address_of(NULL, NULL, ""), "::");
    assert_string_equal(address_of("unix:", "1.1.1.1", ""), "::");
    assert_string_equal(address_of("1.2.3.4.5", NULL, ""), "::");
}

static void bad_networks_are_refused(void **state)
{
    static const char *const bad[] = {
        "",       "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/-1", "10.0.0.0/1a",
        "::/129", "localhost",   "10.0.0.0/8/8"};

    for (size_t i = 0; i < TK_ARRAY_LEN(bad); i++) {
        char good[] = "10.0.0.1", text[32], *items[] = {good, text};
        struct tk_string_list list = {items, 2};
        struct trusted_proxies *proxies = NULL;
        size_t number = 0;
        strcpy(text, bad[i]);
        if (trusted_proxies_new(&list, &proxies, &number) != TK_EINVAL || number != 1)
            fail_msg("%s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_proxies_the_connection_decides),
        cmocka_unit_test(a_trusted_proxy_tells_the_address),
        cmocka_unit_test(clients_cannot_pose_as_others),
        cmocka_unit_test(networks_end_at_any_bit),
        cmocka_unit_test(a_client_has_a_whole_ipv6_network),
        cmocka_unit_test(nonsense_is_one_address),
        cmocka_unit_test(bad_networks_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
