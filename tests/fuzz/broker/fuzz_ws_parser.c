/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what a client sends on its websocket. The first byte says how large the reads are;
 * however the bytes are cut, the same messages, pings and end must come out.
 */
#include <stdlib.h>

#include "broker/websocket/ws_parser.h"
#include "common/tk_buf.h"

struct outcome {
    struct tk_buf data;     /* of all messages */
    struct tk_buf controls; /* kind, length and payload of each ping and pong */
    struct tk_buf messages; /* opcode and end in data of each */
    struct ws_piece end;    /* CLOSE or ERROR, else NONE */
    bool is_in_message;
};

static void on_data(struct outcome *o, const struct ws_piece *piece)
{
    tk_assert(piece->is_first == !o->is_in_message);
    tk_assert(!piece->is_final || piece->remaining == 0);
    o->is_in_message = !piece->is_final;
    tk_buf_append_slice(&o->data, piece->bytes);
    if (piece->is_final)
        tk_buf_appendf(&o->messages, "%d %zu,", piece->is_binary, o->data.len);
}

static void on_control(struct outcome *o, const struct ws_piece *piece)
{
    tk_assert(piece->bytes.len <= WS_CONTROL_MAX);
    tk_buf_appendf(&o->controls, "%d %zu ", (int)piece->kind, piece->bytes.len);
    tk_buf_append_slice(&o->controls, piece->bytes);
}

static void on_end(struct outcome *o, const struct ws_piece *piece)
{
    bool is_error = piece->kind == WS_PIECE_ERROR;
    tk_assert(is_error == (piece->error != NULL));
    tk_assert(!is_error || piece->close_code == CLOSE_PROTOCOL_ERROR ||
              piece->close_code == CLOSE_BAD_UTF8);
    tk_assert(piece->close_code >= 1000 && piece->close_code <= 4999);
    o->end = *piece;
}

/* One read of a connection: every piece of it. */
static void read_bytes(struct outcome *o, struct ws_parser *parser, char *input, size_t len)
{
    while (o->end.kind == WS_PIECE_NONE) {
        size_t before = len;
        struct ws_piece piece = ws_parser_next(parser, &input, &len);
        tk_assert(len <= before);
        switch (piece.kind) {
        case WS_PIECE_NONE:
            tk_assert(len < before || len == 0); /* or it would never end */
            if (len == 0)
                return;
            break;
        case WS_PIECE_DATA:
            on_data(o, &piece);
            break;
        case WS_PIECE_PING:
        case WS_PIECE_PONG:
            on_control(o, &piece);
            break;
        case WS_PIECE_CLOSE:
        case WS_PIECE_ERROR:
            on_end(o, &piece);
            break;
        }
    }
}

/* Each read is an allocation of its own, so that nothing can look beyond it unseen. */
static void parse(struct outcome *o, const uint8_t *data, size_t size, size_t step)
{
    struct ws_parser parser = {0};
    for (size_t at = 0; at < size; at += step) {
        size_t len = size - at < step ? size - at : step;
        char *input = tk_xmalloc(len);
        memcpy(input, data + at, len);
        read_bytes(o, &parser, input, len);
        free(input);
    }
    ws_parser_fini(&parser);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    tk_assert(tk_slice_eq(tk_buf_slice(&a->data), tk_buf_slice(&b->data)));
    tk_assert(tk_slice_eq(tk_buf_slice(&a->controls), tk_buf_slice(&b->controls)));
    tk_assert(tk_slice_eq(tk_buf_slice(&a->messages), tk_buf_slice(&b->messages)));
    tk_assert(a->end.kind == b->end.kind && a->end.close_code == b->end.close_code);
    tk_assert(a->end.error == b->end.error);
}

static void outcome_fini(struct outcome *o)
{
    tk_buf_fini(&o->data);
    tk_buf_fini(&o->controls);
    tk_buf_fini(&o->messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = {0}, cut = {0};
    if (size < 2)
        return 0;
    parse(&whole, data + 1, size - 1, size - 1);
    parse(&cut, data + 1, size - 1, (size_t)data[0] + 1);
    check_same(&whole, &cut);
    outcome_fini(&whole);
    outcome_fini(&cut);
    return 0;
}
