/* SPDX-License-Identifier: MIT */
/* Users are remembered for a time and up to a number (C167). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/users/user_cache.h"

static struct user_cache cache;

static int setup(void **state)
{
    user_cache_init(&cache, 3, 1000);
    return 0;
}

static int teardown(void **state)
{
    user_cache_clear(&cache);
    return 0;
}

static struct tk_uuid user(uint8_t n)
{
    return (struct tk_uuid){.bytes = {[15] = n}};
}

static void put(uint8_t n, const char *nickname, uint64_t now_ms)
{
    struct tk_uuid id = user(n);
    user_cache_put(&cache, &id, nickname, now_ms);
}

static const struct cached_user *find(uint8_t n, uint64_t now_ms)
{
    struct tk_uuid id = user(n);
    return user_cache_find(&cache, &id, now_ms);
}

static void remembers_nicknames_and_their_absence(void **state)
{
    put(1, "Cruel_KFP", 0);
    put(2, NULL, 0);
    put(3, "", 0);
    assert_string_equal(find(1, 0)->nickname, "Cruel_KFP");
    assert_false(find(2, 0)->has_nickname);
    assert_true(find(3, 0)->has_nickname);
    assert_string_equal(find(3, 0)->nickname, "");
    assert_null(find(4, 0));
}

static void forgets_in_time_even_who_is_asked_for_often(void **state)
{
    put(1, "a", 500);
    for (uint64_t now = 500; now < 1500; now += 100)
        assert_non_null(find(1, now));
    assert_null(find(1, 1500));
    assert_int_equal(cache.map.count, 0);
}

static void the_least_recently_used_makes_room(void **state)
{
    put(1, "a", 0);
    put(2, "b", 0);
    put(3, "c", 0);
    assert_non_null(find(1, 1));
    put(4, "d", 1);
    assert_null(find(2, 1));
    assert_non_null(find(1, 1));
    assert_non_null(find(3, 1));
    assert_non_null(find(4, 1));
}

static void replaces_without_making_room(void **state)
{
    put(1, "a", 0);
    put(2, "b", 0);
    put(3, "c", 0);
    put(1, "longer than before", 900);
    assert_string_equal(find(1, 1800)->nickname, "longer than before");
    assert_non_null(find(2, 999));
    assert_non_null(find(3, 999));
}

static void forgets_on_demand(void **state)
{
    struct tk_uuid id = user(2);
    put(1, "a", 0);
    put(2, "b", 0);
    put(3, "c", 0);
    user_cache_forget(&cache, &id);
    user_cache_forget(&cache, &id);
    assert_null(find(2, 0));
    assert_non_null(find(1, 0));
    assert_non_null(find(3, 0));
}

static void outdated_users_give_their_memory_back(void **state)
{
    put(1, "a", 0);
    put(2, "b", 600);
    user_cache_expire(&cache, 999);
    assert_int_equal(cache.map.count, 2);
    user_cache_expire(&cache, 1000);
    assert_int_equal(cache.map.count, 1);
    assert_non_null(find(2, 1000));
    user_cache_expire(&cache, 1600);
    assert_int_equal(cache.map.count, 0);
    user_cache_expire(&cache, 1600);
}

static void without_room_or_time_it_remembers_nobody(void **state)
{
    user_cache_init(&cache, 0, 1000);
    put(1, "a", 0);
    assert_null(find(1, 0));
    user_cache_init(&cache, 3, 0);
    put(1, "a", 0);
    assert_null(find(1, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(remembers_nicknames_and_their_absence),
        TEST(forgets_in_time_even_who_is_asked_for_often),
        TEST(the_least_recently_used_makes_room),
        TEST(replaces_without_making_room),
        TEST(forgets_on_demand),
        TEST(outdated_users_give_their_memory_back),
        TEST(without_room_or_time_it_remembers_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
