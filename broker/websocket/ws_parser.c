/* SPDX-License-Identifier: MIT */
/*
 * A frame is header, then payload. The header is collected until it is complete, checked once, and
 * then kept: its mask is needed for the payload. Rules are RFC 6455, section 5, unless said
 * otherwise.
 */
#include "broker/websocket/ws_parser.h"

#include <stdlib.h>

#include "common/tk_json.h"

enum { FIN = 0x80, RSV = 0x70, OPCODE = 0x0f, MASK = 0x80, LENGTH = 0x7f };
enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

static struct ws_piece violation(uint16_t code, const char *what)
{
    return (struct ws_piece){.kind = WS_PIECE_ERROR, .close_code = code, .error = what};
}

static uint8_t opcode(const struct ws_parser *p)
{
    return p->header[0] & OPCODE;
}

static bool is_control(const struct ws_parser *p)
{
    return opcode(p) >= OP_CLOSE;
}

/* Of the header as far as it is known from its first two bytes; clients must mask. */
static size_t header_size(const struct ws_parser *p)
{
    if (p->header_len < 2)
        return 2;
    uint8_t length = p->header[1] & LENGTH;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

static uint64_t payload_length(const struct ws_parser *p)
{
    uint8_t length = p->header[1] & LENGTH;
    size_t bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    uint64_t extended = 0;
    for (size_t i = 0; i < bytes; i++)
        extended = extended << 8 | p->header[2 + i];
    return bytes > 0 ? extended : length;
}

/* What the first two bytes already show; NULL: fine. */
static const char *check_first_bytes(const struct ws_parser *p)
{
    uint8_t op = opcode(p);
    bool is_final = p->header[0] & FIN;
    if (p->header[0] & RSV)
        return "reserved bit set";
    if (!(p->header[1] & MASK))
        return "frame is not masked";
    if ((op > OP_BINARY && op < OP_CLOSE) || op > OP_PONG)
        return "reserved opcode";
    if (is_control(p) && (!is_final || (p->header[1] & LENGTH) > WS_CONTROL_MAX))
        return "control frame too long or fragmented";
    if (op == OP_CONTINUATION && p->message_opcode == 0)
        return "continuation of no message";
    if ((op == OP_TEXT || op == OP_BINARY) && p->message_opcode != 0)
        return "message inside a message";
    return NULL;
}

static const char *check_length(const struct ws_parser *p)
{
    uint8_t length = p->header[1] & LENGTH;
    if ((length == 126 && p->remaining < 126) || (length == 127 && p->remaining <= UINT16_MAX))
        return "length is not minimal";
    return p->remaining >> 63 ? "length has its highest bit set" : NULL;
}

static void take_header_bytes(struct ws_parser *p, char **input, size_t *len, size_t upto)
{
    while (p->header_len < upto && *len != 0) {
        p->header[p->header_len++] = (uint8_t)(*input)[0];
        (*input)++;
        (*len)--;
    }
}

/* True when the header is complete, or wrong (*error). */
static bool read_header(struct ws_parser *p, char **input, size_t *len, const char **error)
{
    *error = NULL;
    take_header_bytes(p, input, len, 2);
    if (p->header_len < 2)
        return false;
    *error = check_first_bytes(p);
    if (*error)
        return true;
    take_header_bytes(p, input, len, header_size(p));
    if (p->header_len < header_size(p))
        return false;
    p->remaining = payload_length(p);
    *error = check_length(p);
    p->is_in_payload = true;
    p->mask_offset = 0;
    if (!is_control(p) && opcode(p) != OP_CONTINUATION) {
        p->message_opcode = opcode(p);
        p->is_message_start = true;
    }
    return true;
}

static void unmask(struct ws_parser *p, char *bytes, size_t len)
{
    uint8_t key[8];
    const uint8_t *mask = p->header + p->header_len - 4;
    uint64_t wide, word;
    size_t i = 0;
    for (size_t k = 0; k < sizeof(key); k++)
        key[k] = mask[(p->mask_offset + k) & 3];
    memcpy(&wide, key, sizeof(wide));
    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        word ^= wide;
        memcpy(bytes + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        bytes[i] = (char)((uint8_t)bytes[i] ^ key[i & 7]);
    p->mask_offset = (uint8_t)((p->mask_offset + len) & 3);
}

/* What of the present frame's payload is in the input, unmasked. */
static struct tk_slice take_payload(struct ws_parser *p, char **input, size_t *len)
{
    size_t n = *len < p->remaining ? *len : (size_t)p->remaining;
    struct tk_slice taken = tk_slice(*input, n);
    unmask(p, *input, n);
    *input += n;
    *len -= n;
    p->remaining -= n;
    return taken;
}

static void end_frame(struct ws_parser *p)
{
    p->is_in_payload = false;
    p->header_len = 0;
}

static struct ws_piece read_data(struct ws_parser *p, char **input, size_t *len)
{
    struct ws_piece piece = {
        .kind = WS_PIECE_DATA,
        .is_first = p->is_message_start,
        .is_binary = p->message_opcode == OP_BINARY,
    };
    piece.bytes = take_payload(p, input, len);
    piece.remaining = p->remaining;
    p->is_message_start = false;
    if (p->remaining > 0)
        return piece;
    piece.is_final = p->header[0] & FIN;
    if (piece.is_final)
        p->message_opcode = 0;
    end_frame(p);
    return piece;
}

/* RFC 6455, 7.4: what may stand in a close frame. */
static bool is_legal_close_code(uint16_t code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

static struct ws_piece read_close(struct tk_slice payload)
{
    struct ws_piece piece = {.kind = WS_PIECE_CLOSE, .close_code = 1000};
    if (payload.len == 0)
        return piece;
    if (payload.len == 1)
        return violation(CLOSE_PROTOCOL_ERROR, "close frame of one byte");
    piece.close_code = (uint16_t)((uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1]);
    if (!is_legal_close_code(piece.close_code))
        return violation(CLOSE_PROTOCOL_ERROR, "illegal close code");
    if (!tk_utf8_valid(tk_slice(payload.ptr + 2, payload.len - 2)))
        return violation(CLOSE_BAD_UTF8, "close reason is not UTF-8");
    return piece;
}

/* A control frame is handled whole; one that a read cut in two is kept until the rest is there. */
static struct ws_piece read_control(struct ws_parser *p, char **input, size_t *len)
{
    struct tk_slice payload = take_payload(p, input, len);
    if (p->remaining > 0 || p->control_len > 0) {
        if (!p->control)
            p->control = tk_xmalloc(WS_CONTROL_MAX);
        memcpy(p->control + p->control_len, payload.ptr, payload.len);
        p->control_len = (uint8_t)(p->control_len + payload.len);
        payload = tk_slice((const char *)p->control, p->control_len);
    }
    if (p->remaining > 0)
        return (struct ws_piece){.kind = WS_PIECE_NONE};
    p->control_len = 0;
    end_frame(p);
    if (opcode(p) == OP_CLOSE)
        return read_close(payload);
    return (struct ws_piece){
        .kind = opcode(p) == OP_PING ? WS_PIECE_PING : WS_PIECE_PONG,
        .bytes = payload,
    };
}

struct ws_piece ws_parser_next(struct ws_parser *p, char **input, size_t *len)
{
    const char *error;
    if (!p->is_in_payload) {
        if (!read_header(p, input, len, &error))
            return (struct ws_piece){.kind = WS_PIECE_NONE};
        if (error)
            return violation(CLOSE_PROTOCOL_ERROR, error);
    }
    if (*len == 0 && p->remaining > 0)
        return (struct ws_piece){.kind = WS_PIECE_NONE};
    return is_control(p) ? read_control(p, input, len) : read_data(p, input, len);
}

void ws_parser_fini(struct ws_parser *p)
{
    free(p->control);
    p->control = NULL;
}
