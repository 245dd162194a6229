/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the beginning of a connection: parsed whole and cut short, then judged as an upgrade
 * and refused or accepted.
 */
#include <stdlib.h>

#include "broker/connect/upgrade.h"

static bool is_within(struct tk_slice s, struct tk_slice outer)
{
    return s.len == 0 || (s.ptr >= outer.ptr && s.ptr + s.len <= outer.ptr + outer.len);
}

static bool has_control(struct tk_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static void check_part(struct tk_slice part, struct tk_slice bytes)
{
    tk_assert(is_within(part, bytes));
    tk_assert(!has_control(part));
}

static void check_head(const struct http_head *head, struct tk_slice bytes)
{
    tk_assert(head->len <= bytes.len && head->len <= HTTP_HEAD_MAX);
    tk_assert(memcmp(bytes.ptr + head->len - 4, "\r\n\r\n", 4) == 0);
    tk_assert(head->minor_version >= 0 && head->minor_version <= 9);
    tk_assert(head->header_count <= HTTP_HEAD_MAX_HEADERS);
    tk_assert(head->method.len > 0 && head->path.len > 0);
    bytes.len = head->len;
    check_part(head->method, bytes);
    check_part(head->path, bytes);
    check_part(head->query, bytes);
    for (size_t i = 0; i < head->header_count; i++) {
        tk_assert(head->headers[i].name.len > 0);
        check_part(head->headers[i].name, bytes);
        check_part(head->headers[i].value, bytes);
    }
}

/* No part of a good head is a good or a large one; it is incomplete, since nothing in it is bad. */
static void check_prefix(struct tk_slice bytes, size_t head_len)
{
    struct http_head ignored;
    size_t len = head_len * (unsigned char)bytes.ptr[head_len / 2] / 256;
    tk_assert(http_head_parse(tk_slice(bytes.ptr, len), &ignored) == HTTP_HEAD_MORE);
}

static void check_upgrade(const struct http_head *head)
{
    static char *items[] = {(char *)"https://app.example", (char *)"//*.netlify.app"};
    static const struct tk_string_list origins = {items, TK_ARRAY_LEN(items)};
    struct upgrade_request request;
    struct tk_buf response = {0};
    enum upgrade_verdict verdict = upgrade_check_request(head, &origins, &request);
    if (verdict == UPGRADE_OK)
        verdict = upgrade_check_headers(head, &request);
    if (verdict == UPGRADE_OK) {
        tk_assert(upgrade_path_is_socket(head->path));
        tk_assert(request.key.len > 0 && !has_control(request.key));
    } else {
        upgrade_write_refusal(verdict, true, &response);
        tk_assert(response.len > 0);
    }
    tk_buf_fini(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tk_slice bytes = tk_slice((const char *)data, size);
    struct http_head head;
    if (http_head_parse(bytes, &head) != HTTP_HEAD_OK)
        return 0;
    check_head(&head, bytes);
    check_prefix(bytes, head.len);
    check_upgrade(&head);
    return 0;
}
