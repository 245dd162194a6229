/* SPDX-License-Identifier: MIT */
/* Websocket headers at the borders of their three length forms (RFC 6455, 5.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/websocket/frame.h"

/* A frame of payload_len bytes must begin with these and be that much longer. */
static void expect_header(size_t payload_len, struct tk_slice header)
{
    char *payload = tk_xcalloc(1, payload_len);
    struct frame *f = frame_new(WS_TEXT, tk_slice(payload, payload_len));

    assert_int_equal(f->len, header.len + payload_len);
    assert_memory_equal(f->bytes, header.ptr, header.len);
    frame_unref(f);
    free(payload);
}

static void length_takes_its_shortest_form(void **state)
{
    expect_header(0, TK_SLICE("\x81\x00"));
    expect_header(125, TK_SLICE("\x81\x7d"));
    expect_header(126, TK_SLICE("\x81\x7e\x00\x7e"));
    expect_header(65535, TK_SLICE("\x81\x7e\xff\xff"));
    expect_header(65536, TK_SLICE("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"));
}

static void opcode_is_in_the_first_byte(void **state)
{
    struct frame *binary = frame_new(WS_BINARY, TK_SLICE("ab"));
    struct frame *close = frame_new(WS_CLOSE, TK_SLICE("\x03\xe9"));

    assert_memory_equal(binary->bytes,
                        "\x82\x02"
                        "ab",
                        4);
    assert_memory_equal(close->bytes, "\x88\x02\x03\xe9", 4);
    frame_unref(binary);
    frame_unref(close);
}

static void parts_are_joined_in_order(void **state)
{
    const struct tk_slice parts[] = {TK_SLICE("one"), {NULL, 0}, TK_SLICE("two")};
    struct frame *f = frame_join(WS_TEXT, parts, TK_ARRAY_LEN(parts));

    assert_int_equal(f->len, 8);
    assert_memory_equal(f->bytes + 2, "onetwo", 6);
    frame_unref(f);
}

/* Every piece but the last has exactly FRAME_PIECE bytes: out_queue cuts there (RFC 6455, 5.4). */
static void more_than_64_kb_is_sent_in_fragments(void **state)
{
    const size_t payload = FRAME_PIECE - 4, len = 4 * payload + 1000;
    char *text = tk_xmalloc(len);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i % 23);
    const struct tk_slice parts[] = {tk_slice(text, 70), {NULL, 0}, tk_slice(text + 70, len - 70)};
    struct frame *f = frame_join(WS_TEXT, parts, TK_ARRAY_LEN(parts));

    assert_true(f->is_pieced);
    assert_int_equal(f->len, 4 * FRAME_PIECE + 4 + 1000);
    for (size_t i = 0; i < 5; i++) {
        const unsigned char *piece = f->bytes + i * FRAME_PIECE;
        size_t piece_len = i < 4 ? payload : 1000;
        assert_int_equal(piece[0], i == 0 ? 0x01 : i < 4 ? 0x00 : 0x80);
        assert_int_equal(piece[1], 126);
        assert_int_equal(piece[2] << 8 | piece[3], piece_len);
        assert_memory_equal(piece + 4, text + i * payload, piece_len);
    }
    frame_unref(f);
    free(text);
}

static void a_message_may_be_made_of_parts(void **state)
{
    struct frame *first = frame_of_message(FRAME_FIRST, TK_SLICE("a"));
    struct frame *middle = frame_of_message(FRAME_MIDDLE, TK_SLICE("b"));
    struct frame *last = frame_of_message(FRAME_LAST, TK_SLICE("c"));

    assert_memory_equal(first->bytes,
                        "\x01\x01"
                        "a",
                        3);
    assert_memory_equal(middle->bytes,
                        "\x00\x01"
                        "b",
                        3);
    assert_memory_equal(last->bytes,
                        "\x80\x01"
                        "c",
                        3);
    frame_unref(first);
    frame_unref(middle);
    frame_unref(last);
}

/* ASan tells when this is wrong: too early is a use after free, too late is a leak. */
static void frame_lives_as_long_as_its_references(void **state)
{
    struct frame *f = frame_new(WS_TEXT, TK_SLICE("x"));

    assert_ptr_equal(frame_ref(f), f);
    frame_unref(f);
    assert_int_equal(f->refs, 1);
    frame_unref(f);
    frame_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(length_takes_its_shortest_form),
        cmocka_unit_test(opcode_is_in_the_first_byte),
        cmocka_unit_test(parts_are_joined_in_order),
        cmocka_unit_test(more_than_64_kb_is_sent_in_fragments),
        cmocka_unit_test(a_message_may_be_made_of_parts),
        cmocka_unit_test(frame_lives_as_long_as_its_references),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
