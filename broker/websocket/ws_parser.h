/* SPDX-License-Identifier: MIT */
/*
 * The receiving half of RFC 6455 for a server: frame headers, masks, fragmentation, control frames,
 * and every rule of it that a hostile client can break (C22). Data frames are handed on piecewise
 * as they arrive, unmasked in place; nothing is buffered here but a header or control frame that a
 * read cut in two.
 */
#pragma once

#include "broker/websocket/frame.h"
#include "common/tk_base.h"

#define WS_HEADER_MAX  14
#define WS_CONTROL_MAX 125

/* One per connection, zero-initialised; ws_parser_fini frees what a cut control frame needed. */
struct ws_parser {
    uint64_t remaining; /* payload of the present frame still to come */
    uint8_t header[WS_HEADER_MAX];
    uint8_t header_len; /* collected so far */
    uint8_t mask_offset;
    uint8_t message_opcode; /* of the unfinished message; 0: none */
    bool is_in_payload;
    bool is_message_start; /* nothing of the message was handed on yet */
    uint8_t control_len;
    uint8_t *control; /* payload of a control frame that came in parts */
};

enum ws_piece_kind {
    WS_PIECE_NONE, /* the input is used up */
    WS_PIECE_DATA, /* some of a message: is_first, is_final, is_binary, remaining */
    WS_PIECE_PING,
    WS_PIECE_PONG,
    WS_PIECE_CLOSE, /* close_code is what to answer: the client's code, 1000 if it sent none */
    WS_PIECE_ERROR, /* close_code is what to close with: 1002 or 1007 (C22) */
};

struct ws_piece {
    enum ws_piece_kind kind;
    struct tk_slice bytes; /* payload; points into the input or into the parser */
    bool is_first, is_final;
    bool is_binary;
    uint64_t remaining; /* still to come in this frame */
    uint16_t close_code;
    const char *error; /* constant text */
};

/*
 * The next piece of the input, which is modified (unmasked) and advanced. After CLOSE or ERROR the
 * connection has nothing more to say: do not call again.
 */
struct ws_piece ws_parser_next(struct ws_parser *p, char **input, size_t *len);
void ws_parser_fini(struct ws_parser *p);
