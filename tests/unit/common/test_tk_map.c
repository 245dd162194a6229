/* SPDX-License-Identifier: MIT */
/* The hash map against the simplest model there is: an array indexed by the key's number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/tk_map.h"

#define ITEMS 4000

struct item {
    char key[24];
    bool in_map;
    unsigned seen;
};

static struct tk_slice item_key(const void *value)
{
    const struct item *item = value;
    return tk_slice_str(item->key);
}

static struct item *make_items(void)
{
    struct item *items = tk_xcalloc(ITEMS, sizeof(*items));

    for (int i = 0; i < ITEMS; i++)
        snprintf(items[i].key, sizeof(items[i].key), "room:%d", i);
    return items;
}

/* A fixed generator, so that a failure repeats. */
static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

static void expect_same(struct tk_map *map, struct item *items, size_t count)
{
    size_t pos = 0, walked = 0;
    struct item *item;

    assert_int_equal(map->count, count);
    for (int i = 0; i < ITEMS; i++) {
        items[i].seen = 0;
        assert_ptr_equal(tk_map_find(map, item_key(&items[i])), items[i].in_map ? &items[i] : NULL);
    }
    while ((item = tk_map_next(map, &pos)) != NULL) {
        assert_true(item->in_map);
        item->seen++;
        assert_int_equal(item->seen, 1);
        walked++;
    }
    assert_int_equal(walked, count);
}

static void random_operations_agree_with_the_model(void **state)
{
    struct item *items = make_items();
    struct tk_map map;
    uint64_t random = 20260131;
    size_t count = 0;

    tk_map_init(&map, item_key);
    for (int round = 0; round < 40; round++) {
        /* Rounds alternate between filling and emptying, so the table grows and shrinks often. */
        uint32_t puts_of_ten = round % 2 == 0 ? 8 : 2;
        for (int i = 0; i < 3000; i++) {
            struct item *item = &items[next_random(&random) % ITEMS];
            bool put = next_random(&random) % 10 < puts_of_ten;
            if (put && !item->in_map) {
                tk_map_put(&map, item);
                item->in_map = true;
                count++;
            } else if (!put) {
                assert_ptr_equal(tk_map_remove(&map, item_key(item)), item->in_map ? item : NULL);
                count -= item->in_map;
                item->in_map = false;
            }
        }
        expect_same(&map, items, count);
    }
    tk_map_fini(&map);
    free(items);
}

static void an_empty_map_has_no_memory(void **state)
{
    struct item *items = make_items();
    struct tk_map map;
    size_t pos = 0;

    tk_map_init(&map, item_key);
    assert_null(tk_map_find(&map, TK_SLICE("a")));
    assert_null(tk_map_remove(&map, TK_SLICE("a")));
    assert_null(tk_map_next(&map, &pos));
    for (int i = 0; i < ITEMS; i++)
        tk_map_put(&map, &items[i]);
    for (int i = 0; i < ITEMS; i++)
        assert_ptr_equal(tk_map_remove(&map, item_key(&items[i])), &items[i]);
    assert_null(map.slots);
    assert_int_equal(map.cap, 0);
    tk_map_fini(&map);
    free(items);
}

static void a_map_that_was_large_shrinks(void **state)
{
    struct item *items = make_items();
    struct tk_map map;

    tk_map_init(&map, item_key);
    for (int i = 0; i < ITEMS; i++)
        tk_map_put(&map, &items[i]);
    assert_in_range(map.cap, ITEMS, ITEMS * 4);
    for (int i = 10; i < ITEMS; i++)
        assert_non_null(tk_map_remove(&map, item_key(&items[i])));
    assert_in_range(map.cap, 10, 128);
    tk_map_fini(&map);
    free(items);
}

static void a_map_can_be_used_again_after_fini(void **state)
{
    struct item item = {.key = "a"};
    struct tk_map map;

    tk_map_init(&map, item_key);
    tk_map_put(&map, &item);
    tk_map_fini(&map);
    assert_int_equal(map.count, 0);
    tk_map_put(&map, &item);
    assert_ptr_equal(tk_map_find(&map, TK_SLICE("a")), &item);
    tk_map_fini(&map);
}

struct bytes_item {
    struct tk_slice key;
};

static struct tk_slice bytes_key(const void *value)
{
    return ((const struct bytes_item *)value)->key;
}

static void keys_are_bytes_of_any_value_and_length(void **state)
{
    struct bytes_item empty = {TK_SLICE("")}, nul = {TK_SLICE("\0")}, two = {TK_SLICE("\0\0")};
    struct tk_map map;

    tk_map_init(&map, bytes_key);
    tk_map_put(&map, &empty);
    tk_map_put(&map, &nul);
    tk_map_put(&map, &two);
    assert_ptr_equal(tk_map_find(&map, tk_slice(NULL, 0)), &empty);
    assert_ptr_equal(tk_map_find(&map, TK_SLICE("\0")), &nul);
    assert_ptr_equal(tk_map_find(&map, TK_SLICE("\0\0")), &two);
    assert_null(tk_map_find(&map, TK_SLICE("\0\0\0")));
    tk_map_fini(&map);
}

/* hash(b'...') of CPython 3.11, which is SipHash-1-3, with PYTHONHASHSEED=42. */
static void siphash_agrees_with_another_implementation(void **state)
{
    static const uint64_t key[2] = {0xdc504fd368cd90afULL, 0xb920bb9ffe99e9c1ULL};
    static const uint64_t zero[2] = {0, 0};
    char counting[63];

    for (size_t i = 0; i < sizeof(counting); i++)
        counting[i] = (char)i;
    assert_true(tk_siphash(key, TK_SLICE("a")) == 0xfe4a47335692551eULL);
    assert_true(tk_siphash(key, TK_SLICE("abcdefg")) == 0x13162120b6bf06edULL);
    assert_true(tk_siphash(key, TK_SLICE("abcdefgh")) == 0xb441be6d79f21056ULL);
    assert_true(tk_siphash(key, TK_SLICE("notifications")) == 0x41be83a0490360fdULL);
    assert_true(tk_siphash(key, TK_SLICE("room:lobby/0123456789")) == 0x688b3de799a7f884ULL);
    assert_true(tk_siphash(key, tk_slice(counting, 63)) == 0x06e24d6f0d014c37ULL);
    assert_true(tk_siphash(zero, TK_SLICE("a")) == 0x407448d2b89b1813ULL);
}

static void the_hash_is_keyed_and_stable(void **state)
{
    static const uint64_t zero[2] = {0, 0};

    assert_true(tk_hash(TK_SLICE("room:1")) == tk_hash(TK_SLICE("room:1")));
    assert_true(tk_hash(TK_SLICE("room:1")) != tk_hash(TK_SLICE("room:2")));
    assert_true(tk_hash(TK_SLICE("room:1")) != tk_siphash(zero, TK_SLICE("room:1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
        cmocka_unit_test(an_empty_map_has_no_memory),
        cmocka_unit_test(a_map_that_was_large_shrinks),
        cmocka_unit_test(a_map_can_be_used_again_after_fini),
        cmocka_unit_test(keys_are_bytes_of_any_value_and_length),
        cmocka_unit_test(siphash_agrees_with_another_implementation),
        cmocka_unit_test(the_hash_is_keyed_and_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
