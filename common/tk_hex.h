/* SPDX-License-Identifier: MIT */
#pragma once

/* The value of a hexadecimal digit in either case, or -1. */
static inline int tk_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static inline char tk_hex_digit(unsigned value)
{
    return "0123456789abcdef"[value & 15];
}
