/* SPDX-License-Identifier: MIT */
/* The queue of unsent frames: order, joining, and the budget of C169. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/websocket/out_queue.h"

#define NO_BUDGET SIZE_MAX

static struct out_queue queue;
static char scratch[64];

static int set_up(void **state)
{
    queue = (struct out_queue){0};
    return 0;
}

static int tear_down(void **state)
{
    out_queue_fini(&queue);
    return 0;
}

/* Pushes a frame with this payload; the queue holds the only reference afterwards. */
static enum tk_err push(struct tk_slice payload, size_t budget)
{
    struct frame *f = frame_new(WS_TEXT, payload);
    enum tk_err err = out_queue_push(&queue, f, budget);

    assert_int_equal(f->refs, err ? 1 : 2);
    frame_unref(f);
    return err;
}

static void push_ok(const char *payload)
{
    assert_int_equal(push(tk_slice_str(payload), NO_BUDGET), TK_OK);
}

/* The next bytes must be these frames' payloads, each behind its two bytes of header. */
static void expect_taken(size_t scratch_size, const char *const *payloads, bool held)
{
    struct frame *holder;
    struct tk_slice taken = out_queue_take(&queue, scratch, scratch_size, &holder);

    assert_int_equal(holder != NULL, held);
    for (; *payloads; payloads++) {
        size_t len = strlen(*payloads);
        assert_true(taken.len >= 2 + len);
        assert_int_equal(taken.ptr[1], len);
        assert_memory_equal(taken.ptr + 2, *payloads, len);
        taken = tk_slice(taken.ptr + 2 + len, taken.len - 2 - len);
    }
    assert_int_equal(taken.len, 0);
    frame_unref(holder);
}

#define EXPECT_JOINED(size, ...) expect_taken(size, (const char *const[]){__VA_ARGS__, NULL}, false)
#define EXPECT_HELD(size, text)  expect_taken(size, (const char *const[]){text, NULL}, true)

static void empty_queue_gives_nothing(void **state)
{
    struct frame *holder;
    struct tk_slice taken = out_queue_take(&queue, scratch, sizeof(scratch), &holder);

    assert_int_equal(taken.len, 0);
    assert_null(holder);
    assert_true(out_queue_is_empty(&queue));
}

static void single_frame_is_not_copied(void **state)
{
    struct frame *holder;

    push_ok("alone");
    struct tk_slice taken = out_queue_take(&queue, scratch, sizeof(scratch), &holder);
    assert_ptr_equal(taken.ptr, holder->bytes);
    assert_int_equal(taken.len, 7);
    assert_true(out_queue_is_empty(&queue));
    frame_unref(holder);
}

static void waiting_frames_are_joined_in_order(void **state)
{
    push_ok("one");
    push_ok("two");
    push_ok("three");
    EXPECT_JOINED(sizeof(scratch), "one", "two", "three");
    assert_int_equal(queue.bytes, 0);
}

static void only_whole_frames_are_joined(void **state)
{
    push_ok("one");
    push_ok("two");
    push_ok("three");
    EXPECT_JOINED(16, "one", "two"); /* 5 + 5, and 7 would make 17 */
    EXPECT_HELD(16, "three");
}

static void frames_that_fit_exactly_are_joined(void **state)
{
    push_ok("one");
    push_ok("two");
    EXPECT_JOINED(10, "one", "two");
    push_ok("one");
    push_ok("two");
    EXPECT_HELD(9, "one"); /* one alone is not worth a copy */
    EXPECT_HELD(9, "two");
}

static void frame_larger_than_scratch_goes_alone(void **state)
{
    push_ok("a frame larger than the scratch");
    push_ok("x");
    EXPECT_HELD(8, "a frame larger than the scratch");
    EXPECT_HELD(8, "x");
}

static void idle_queue_holds_no_memory(void **state)
{
    push_ok("one");
    assert_null(queue.items);
    push_ok("two");
    push_ok("three");
    assert_non_null(queue.items);
    EXPECT_JOINED(10, "one", "two");
    assert_null(queue.items);
    assert_int_equal(queue.count, 1);
}

static void order_survives_wrapping_and_growing(void **state)
{
    char text[8];
    unsigned pushed = 0, taken = 0;

    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 7; i++) {
            snprintf(text, sizeof(text), "%03u", pushed++ % 1000);
            push_ok(text);
        }
        for (unsigned i = 0; i < 5; i++) {
            snprintf(text, sizeof(text), "%03u", taken++ % 1000);
            EXPECT_HELD(5, text);
        }
    }
    assert_int_equal(queue.count, pushed - taken);
    assert_int_equal(queue.bytes, (pushed - taken) * 5);
}

static void budget_is_the_last_byte_that_may_wait(void **state)
{
    assert_int_equal(push(TK_SLICE("one"), 10), TK_OK);
    assert_int_equal(push(TK_SLICE("four"), 10), TK_ELIMIT); /* 5 + 6 */
    assert_int_equal(queue.count, 1);
    assert_int_equal(push(TK_SLICE("two"), 10), TK_OK); /* 5 + 5 */
    assert_int_equal(push(TK_SLICE(""), 10), TK_ELIMIT);
    EXPECT_JOINED(sizeof(scratch), "one", "two");
}

/* C169: the limit plus one message, so that a large one can be sent at all. */
static void first_frame_may_exceed_the_budget(void **state)
{
    assert_int_equal(push(TK_SLICE("larger than the budget"), 10), TK_OK);
    assert_int_equal(push(TK_SLICE(""), 10), TK_ELIMIT);
    EXPECT_HELD(sizeof(scratch), "larger than the budget");
    assert_int_equal(push(TK_SLICE("larger than the budget"), 10), TK_OK);
}

static void one_frame_may_wait_in_many_queues(void **state)
{
    struct frame *f = frame_new(WS_TEXT, TK_SLICE("shared"));
    struct out_queue queues[3] = {0};

    for (size_t i = 0; i < TK_ARRAY_LEN(queues); i++)
        assert_int_equal(out_queue_push(&queues[i], f, NO_BUDGET), TK_OK);
    assert_int_equal(f->refs, 4);
    for (size_t i = 0; i < TK_ARRAY_LEN(queues); i++)
        out_queue_fini(&queues[i]);
    assert_int_equal(f->refs, 1);
    frame_unref(f);
}

/* A message of three parts: 2 + 3, 2 + middle and 2 + 1 bytes (or more with a longer header). */
static enum tk_err push_group(struct frame *middle, size_t budget)
{
    struct frame *parts[] = {
        frame_of_message(FRAME_FIRST, TK_SLICE("one")),
        frame_ref(middle),
        frame_of_message(FRAME_LAST, TK_SLICE("!")),
    };
    enum tk_err err = out_queue_push_group(&queue, parts, TK_ARRAY_LEN(parts), budget);
    for (size_t i = 0; i < TK_ARRAY_LEN(parts); i++)
        frame_unref(parts[i]);
    return err;
}

static struct frame *middle_of(size_t len)
{
    char *payload = tk_xcalloc(1, len);
    struct frame *f = frame_of_message(FRAME_MIDDLE, tk_slice(payload, len));
    free(payload);
    return f;
}

static void take_away(size_t bytes)
{
    while (bytes > 0) {
        struct frame *holder;
        struct tk_slice taken = out_queue_take(&queue, scratch, sizeof(scratch), &holder);
        assert_true(taken.len > 0 && taken.len <= bytes);
        bytes -= taken.len;
        frame_unref(holder);
    }
}

/* C118, C169: the state of a large room and what follows it reach a client within its budget. */
static void a_group_is_not_counted_but_only_one_at_a_time(void **state)
{
    struct frame *middle = middle_of(100); /* 102 */

    assert_int_equal(push(TK_SLICE("reply"), 20), TK_OK); /* 7 */
    assert_int_equal(push_group(middle, 20), TK_OK);
    assert_int_equal(queue.bytes, 7 + 5 + 102 + 3);
    assert_int_equal(push(TK_SLICE("three, four"), 20), TK_OK); /* 7 + 13 */
    assert_int_equal(push(TK_SLICE(""), 20), TK_ELIMIT);
    assert_int_equal(push_group(middle, 20), TK_ELIMIT);
    assert_int_equal(queue.count, 5); /* all of a group or nothing */

    EXPECT_JOINED(sizeof(scratch), "reply", "one");
    assert_int_equal(queue.exempt_bytes, 105);
    take_away(102);
    assert_int_equal(push_group(middle, 20), TK_ELIMIT); /* one byte of it is left */
    EXPECT_JOINED(sizeof(scratch), "!", "three, four");
    assert_int_equal(queue.exempt_bytes, 0);
    assert_int_equal(push_group(middle, 20), TK_OK);
    frame_unref(middle);
}

/* A frame of many pieces is given out piece by piece, from where it lies. */
static void a_pieced_frame_is_taken_in_whole_pieces(void **state)
{
    struct frame *middle = middle_of(5 * (size_t)FRAME_PIECE);
    struct frame *holder;
    uint32_t len = middle->len;

    assert_true(middle->is_pieced);
    assert_int_equal(push_group(middle, NO_BUDGET), TK_OK);
    EXPECT_HELD(sizeof(scratch), "one");
    struct tk_slice taken = out_queue_take(&queue, scratch, 2 * FRAME_PIECE + 5, &holder);
    assert_ptr_equal(taken.ptr, middle->bytes);
    assert_int_equal(taken.len, 2 * FRAME_PIECE);
    assert_ptr_equal(holder, middle);
    frame_unref(holder);
    taken = out_queue_take(&queue, scratch, sizeof(scratch), &holder); /* at least one */
    assert_ptr_equal(taken.ptr, middle->bytes + 2 * FRAME_PIECE);
    assert_int_equal(taken.len, FRAME_PIECE);
    frame_unref(holder);
    assert_int_equal(queue.bytes, len - 3 * FRAME_PIECE + 3);
    assert_int_equal(queue.exempt_bytes, queue.bytes);
    taken = out_queue_take(&queue, scratch, SIZE_MAX, &holder);
    assert_int_equal(taken.len, len - 3 * FRAME_PIECE);
    frame_unref(holder);
    EXPECT_HELD(sizeof(scratch), "!");
    assert_int_equal(middle->refs, 1);
    frame_unref(middle);
}

static void a_half_taken_frame_is_freed_with_the_queue(void **state)
{
    struct frame *middle = middle_of(5 * (size_t)FRAME_PIECE);

    assert_int_equal(push_group(middle, NO_BUDGET), TK_OK);
    take_away(5 + FRAME_PIECE);
    out_queue_fini(&queue);
    assert_int_equal(queue.bytes, 0);
    assert_int_equal(queue.exempt_bytes, 0);
    assert_int_equal(middle->refs, 1);
    frame_unref(middle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(empty_queue_gives_nothing),
        TEST(single_frame_is_not_copied),
        TEST(waiting_frames_are_joined_in_order),
        TEST(only_whole_frames_are_joined),
        TEST(frames_that_fit_exactly_are_joined),
        TEST(frame_larger_than_scratch_goes_alone),
        TEST(idle_queue_holds_no_memory),
        TEST(order_survives_wrapping_and_growing),
        TEST(budget_is_the_last_byte_that_may_wait),
        TEST(first_frame_may_exceed_the_budget),
        TEST(one_frame_may_wait_in_many_queues),
        TEST(a_group_is_not_counted_but_only_one_at_a_time),
        TEST(a_pieced_frame_is_taken_in_whole_pieces),
        TEST(a_half_taken_frame_is_freed_with_the_queue),
    };
    return cmocka_run_group_tests_name("out_queue", tests, NULL, NULL);
}
