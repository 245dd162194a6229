/* SPDX-License-Identifier: MIT */
/*
 * As much of the websocket protocol (RFC 6455) as the bench tools speak: the handshake's texts, and
 * whole frames in either direction.
 */
#pragma once

#include "common/tk_base.h"
#include "common/tk_buf.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Every client offers the key of RFC 6455, 1.3, so that one answer is right for all of them. */
#define WS_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct ws_frame {
    uint8_t opcode;
    bool is_final; /* no fragments follow */
    char *payload; /* in the parsed buffer, unmasked */
    size_t len;
};

enum ws_parse { WS_PARSE_FRAME, WS_PARSE_MORE, WS_PARSE_BAD };

/*
 * The frame at the start of data[len]; *size is how long it is. Unmasks in place. WS_PARSE_MORE:
 * incomplete. WS_PARSE_BAD: reserved bits, over limit bytes, or masked when it must not be (and the
 * other way round).
 */
enum ws_parse ws_parse(char *data, size_t len, bool is_masked, size_t limit, struct ws_frame *frame,
                       size_t *size);

/* Appends a final frame, masked with a fresh mask as a client's, or unmasked as a server's. */
void ws_append_client_frame(struct tk_buf *out, enum ws_opcode opcode, struct tk_slice payload);
void ws_append_server_frame(struct tk_buf *out, enum ws_opcode opcode, struct tk_slice payload);
