/* SPDX-License-Identifier: MIT */
/* Connections per address: who counts as the same peer, and that nothing stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "broker/connect/address_limit.h"

static struct address_limit limit;

static int setup(void **state)
{
    address_limit_init(&limit, 2);
    return 0;
}

static int teardown(void **state)
{
    address_limit_fini(&limit); /* asserts that no address is left */
    return 0;
}

static enum tk_err take(const char *address, struct address_use **use)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return address_limit_take(&limit, (struct sockaddr *)&v4, use);
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return address_limit_take(&limit, (struct sockaddr *)&v6, use);
}

static void give_back(struct address_use *use)
{
    address_limit_give_back(&limit, use);
}

static void the_third_connection_waits_for_one_to_end(void **state)
{
    struct address_use *a, *b, *c;
    assert_int_equal(take("192.0.2.1", &a), TK_OK);
    assert_int_equal(take("192.0.2.1", &b), TK_OK);
    assert_int_equal(take("192.0.2.1", &c), TK_ELIMIT);
    assert_null(c);
    give_back(a);
    assert_int_equal(take("192.0.2.1", &c), TK_OK);
    give_back(b);
    give_back(c);
    assert_int_equal(limit.map.count, 0);
}

static void addresses_do_not_disturb_each_other(void **state)
{
    struct address_use *uses[4];
    const char *peers[] = {"192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"};
    for (size_t i = 0; i < TK_ARRAY_LEN(peers); i++)
        assert_int_equal(take(peers[i], &uses[i]), TK_OK);
    assert_int_equal(limit.map.count, 4);
    for (size_t i = 0; i < TK_ARRAY_LEN(peers); i++)
        give_back(uses[i]);
}

/* Whoever has one address of a /64 has all of them. */
static void an_ipv6_network_counts_as_one(void **state)
{
    struct address_use *a, *b, *c;
    assert_int_equal(take("2001:db8:0:1::1", &a), TK_OK);
    assert_int_equal(take("2001:db8:0:1:ffff::9", &b), TK_OK);
    assert_int_equal(take("2001:db8:0:1:1:2:3:4", &c), TK_ELIMIT);
    give_back(a);
    give_back(b);
}

static void mapped_ipv4_is_ipv4(void **state)
{
    struct address_use *a, *b, *c, *other;
    assert_int_equal(take("::ffff:192.0.2.1", &a), TK_OK);
    assert_int_equal(take("192.0.2.1", &b), TK_OK);
    assert_int_equal(take("::ffff:192.0.2.1", &c), TK_ELIMIT);
    assert_int_equal(take("::ffff:192.0.2.2", &other), TK_OK);
    give_back(a);
    give_back(b);
    give_back(other);
}

static void unix_sockets_and_no_limit_count_nothing(void **state)
{
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct address_use *use;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(address_limit_take(&limit, (const struct sockaddr *)&local, &use), TK_OK);
        assert_null(use);
    }
    limit.max = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take("192.0.2.1", &use), TK_OK);
        assert_null(use);
    }
    give_back(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_third_connection_waits_for_one_to_end),
        TEST(addresses_do_not_disturb_each_other),
        TEST(an_ipv6_network_counts_as_one),
        TEST(mapped_ipv4_is_ipv4),
        TEST(unix_sockets_and_no_limit_count_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
