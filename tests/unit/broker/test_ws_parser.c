/* SPDX-License-Identifier: MIT */
/* What a client may send and what it may not: RFC 6455, section 5, and C21-C23. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/websocket/ws_parser.h"
#include "common/tk_buf.h"

/* A client's frame: header with the shortest length, a mask, the masked payload. */
static void write_frame(struct tk_buf *out, uint8_t first, struct tk_slice payload)
{
    static const uint8_t mask[] = {0x37, 0xfa, 0x21, 0x3d};
    tk_buf_append_char(out, (char)first);
    if (payload.len < 126) {
        tk_buf_append_char(out, (char)(0x80 | payload.len));
    } else {
        tk_buf_append_char(out, (char)(0x80 | (payload.len <= UINT16_MAX ? 126 : 127)));
        for (int shift = payload.len <= UINT16_MAX ? 8 : 56; shift >= 0; shift -= 8)
            tk_buf_append_char(out, (char)((uint64_t)payload.len >> shift));
    }
    tk_buf_append(out, mask, sizeof(mask));
    for (size_t i = 0; i < payload.len; i++)
        tk_buf_append_char(out, (char)((uint8_t)payload.ptr[i] ^ mask[i & 3]));
}

struct seen {
    struct tk_buf data;
    struct tk_buf controls; /* kind digit and payload of each */
    size_t messages;
    struct ws_piece end; /* CLOSE or ERROR, else NONE */
};

/* Feeds the bytes in reads of `step` bytes. */
static struct seen feed(const struct tk_buf *bytes, size_t step)
{
    struct ws_parser parser = {0};
    struct seen seen = {0};
    char *copy = tk_xmalloc(bytes->len + 1);
    memcpy(copy, bytes->data, bytes->len);
    for (size_t at = 0; at < bytes->len && seen.end.kind == WS_PIECE_NONE; at += step) {
        char *input = copy + at;
        size_t len = bytes->len - at < step ? bytes->len - at : step;
        for (;;) {
            struct ws_piece piece = ws_parser_next(&parser, &input, &len);
            if (piece.kind == WS_PIECE_DATA) {
                tk_buf_append_slice(&seen.data, piece.bytes);
                seen.messages += piece.is_final;
            } else if (piece.kind == WS_PIECE_PING || piece.kind == WS_PIECE_PONG) {
                tk_buf_append_char(&seen.controls, piece.kind == WS_PIECE_PING ? 'i' : 'o');
                tk_buf_append_slice(&seen.controls, piece.bytes);
            } else if (piece.kind != WS_PIECE_NONE) {
                seen.end = piece;
                break;
            } else if (len == 0) {
                break;
            }
        }
    }
    free(copy);
    ws_parser_fini(&parser);
    return seen;
}

static void seen_fini(struct seen *seen)
{
    tk_buf_fini(&seen->data);
    tk_buf_fini(&seen->controls);
}

/* RFC 6455, 5.7: the masked "Hello". */
static void the_example_of_the_rfc(void **state)
{
    struct tk_buf bytes = {0};
    tk_buf_append(&bytes, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    struct seen seen = feed(&bytes, 100);
    assert_string_equal(tk_buf_str(&seen.data), "Hello");
    assert_int_equal(seen.messages, 1);
    seen_fini(&seen);
    tk_buf_fini(&bytes);
}

/* However the bytes are cut: fragments, controls between them, all three forms of length. */
static void any_cut_gives_the_same(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 70000};
    struct tk_buf bytes = {0}, expected = {0};
    char *payload = tk_xmalloc(70000);
    for (size_t i = 0; i < 70000; i++)
        payload[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < TK_ARRAY_LEN(sizes); i++) {
        write_frame(&bytes, 0x01, tk_slice(payload, sizes[i]));
        write_frame(&bytes, 0x89, TK_SLICE("between"));
        write_frame(&bytes, 0x00, TK_SLICE("middle"));
        write_frame(&bytes, 0x8a, TK_SLICE(""));
        write_frame(&bytes, 0x80, TK_SLICE("end"));
        tk_buf_append(&expected, payload, sizes[i]);
        tk_buf_append_str(&expected, "middleend");
    }
    for (size_t step = 1; step < 300000; step = step * 3 + 1) {
        struct seen seen = feed(&bytes, step);
        assert_int_equal(seen.end.kind, WS_PIECE_NONE);
        assert_int_equal(seen.messages, TK_ARRAY_LEN(sizes));
        assert_int_equal(seen.data.len, expected.len);
        assert_memory_equal(seen.data.data, expected.data, expected.len);
        assert_int_equal(seen.controls.len, TK_ARRAY_LEN(sizes) * strlen("ibetweeno"));
        seen_fini(&seen);
    }
    free(payload);
    tk_buf_fini(&bytes);
    tk_buf_fini(&expected);
}

static void first_final_and_remaining(void **state)
{
    struct ws_parser parser = {0};
    struct tk_buf bytes = {0};
    write_frame(&bytes, 0x02, TK_SLICE("0123456789"));
    write_frame(&bytes, 0x80, TK_SLICE("x"));
    char *input = bytes.data;
    size_t len = 6 + 4; /* header and four bytes */
    struct ws_piece piece = ws_parser_next(&parser, &input, &len);
    assert_int_equal(piece.kind, WS_PIECE_DATA);
    assert_true(piece.is_first && !piece.is_final && piece.is_binary);
    assert_int_equal(piece.remaining, 6);
    len = bytes.len - 10;
    piece = ws_parser_next(&parser, &input, &len);
    assert_true(!piece.is_first && !piece.is_final && piece.bytes.len == 6);
    piece = ws_parser_next(&parser, &input, &len);
    assert_true(!piece.is_first && piece.is_final && piece.is_binary);
    tk_buf_fini(&bytes);
}

static void c22_violations(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint16_t code;
    } cases[] = {
#define CASE(literal, code) {literal, sizeof(literal) - 1, code}
        CASE("\x81\x05Hello", 1002),                        /* not masked */
        CASE("\xc1\x80\0\0\0\0", 1002),                     /* RSV1 (C17) */
        CASE("\xa1\x80\0\0\0\0", 1002),                     /* RSV2 */
        CASE("\x91\x80\0\0\0\0", 1002),                     /* RSV3 */
        CASE("\x83\x80\0\0\0\0", 1002),                     /* reserved data opcode */
        CASE("\x8b\x80\0\0\0\0", 1002),                     /* reserved control opcode */
        CASE("\x09\x80\0\0\0\0", 1002),                     /* fragmented ping */
        CASE("\x89\xfe\x00\x7e\0\0\0\0", 1002),             /* ping of 126 bytes */
        CASE("\x80\x80\0\0\0\0", 1002),                     /* stray continuation */
        CASE("\x01\x80\0\0\0\0\x81\x80\0\0\0\0", 1002),     /* message in a message */
        CASE("\x81\xfe\x00\x7d\0\0\0\0", 1002),             /* 125 in two bytes */
        CASE("\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 1002), /* 65535 in eight */
        CASE("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002),   /* highest bit */
        CASE("\x88\x81\0\0\0\0\x03", 1002),                 /* close of one byte */
        CASE("\x88\x82\0\0\0\0\x03\xe7", 1002),             /* 999 */
        CASE("\x88\x82\0\0\0\0\x03\xec", 1002),             /* 1004 */
        CASE("\x88\x82\0\0\0\0\x03\xed", 1002),             /* 1005 */
        CASE("\x88\x82\0\0\0\0\x03\xee", 1002),             /* 1006 */
        CASE("\x88\x82\0\0\0\0\x03\xf7", 1002),             /* 1015 */
        CASE("\x88\x82\0\0\0\0\x07\xd0", 1002),             /* 2000 */
        CASE("\x88\x82\0\0\0\0\x13\x88", 1002),             /* 5000 */
        CASE("\x88\x83\0\0\0\0\x03\xe8\xff", 1007),         /* reason is not UTF-8 */
#undef CASE
    };
    for (size_t i = 0; i < TK_ARRAY_LEN(cases); i++) {
        struct tk_buf bytes = {0};
        tk_buf_append(&bytes, cases[i].bytes, cases[i].len);
        for (size_t step = 1; step <= 100; step += 99) {
            struct seen seen = feed(&bytes, step);
            assert_int_equal(seen.end.kind, WS_PIECE_ERROR);
            assert_int_equal(seen.end.close_code, cases[i].code);
            seen_fini(&seen);
        }
        tk_buf_fini(&bytes);
    }
}

static void c23_closes(void **state)
{
    static const struct {
        struct tk_slice payload;
        uint16_t code;
    } cases[] = {
        {TK_SLICE_INIT(""), 1000},
        {TK_SLICE_INIT("\x03\xe8"), 1000},
        {TK_SLICE_INIT("\x03\xe9going away"), 1001},
        {TK_SLICE_INIT("\x03\xf6"), 1014},
        {TK_SLICE_INIT("\x0b\xb8"), 3000},
        {TK_SLICE_INIT("\x13\x87"), 4999},
    };
    for (size_t i = 0; i < TK_ARRAY_LEN(cases); i++) {
        struct tk_buf bytes = {0};
        write_frame(&bytes, 0x88, cases[i].payload);
        struct seen seen = feed(&bytes, 3);
        assert_int_equal(seen.end.kind, WS_PIECE_CLOSE);
        assert_int_equal(seen.end.close_code, cases[i].code);
        seen_fini(&seen);
        tk_buf_fini(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(any_cut_gives_the_same),
        cmocka_unit_test(first_final_and_remaining),
        cmocka_unit_test(c22_violations),
        cmocka_unit_test(c23_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
