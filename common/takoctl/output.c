/* SPDX-License-Identifier: MIT */
/* What people read: errors with the command's name in front, and foreign text made harmless. */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/takoctl/takoctl.h"
#include "common/tk_json.h"

#define STACK_ENV "var/stack.env"

static void TK_PRINTF(3, 0)
    say(const struct ctl *ctl, const char *kind, const char *fmt, va_list args)
{
    fprintf(stderr, "takoctl %s: %s", ctl->command->name, kind);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int ctl_fail(const struct ctl *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(ctl, "", fmt, args);
    va_end(args);
    return CTL_FAILED;
}

int ctl_refuse(const struct ctl *ctl, const struct ctl_problem *problem)
{
    const char *name = ctl->command->name;

    fprintf(stderr, "takoctl %s: %s.\nusage: takoctl %s%s%s (takoctl %s --help explains)\n", name,
            problem->text, name, ctl->command->usage[0] != '\0' ? " " : "", ctl->command->usage,
            name);
    return CTL_USAGE;
}

void ctl_warn(const struct ctl *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(ctl, "warning: ", fmt, args);
    va_end(args);
}

void ctl_hint_at_stack(const char *variable)
{
    const char *value = getenv(variable);

    if ((value == NULL || value[0] == '\0') && access(STACK_ENV, R_OK) == 0)
        fprintf(stderr, "A stack was started here; this makes it the one to talk to:\n"
                        "    set -a; . ./" STACK_ENV "; set +a\n");
}

/* The code point that begins at p, which is valid UTF-8; *len is how many bytes it has. */
static unsigned decode_utf8(const unsigned char *p, size_t *len)
{
    if (p[0] < 0x80) {
        *len = 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *len = 2;
        return (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
    }
    if (p[0] < 0xf0) {
        *len = 3;
        return (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
    }
    *len = 4;
    return (p[0] & 0x07U) << 18 | (p[1] & 0x3fU) << 12 | (p[2] & 0x3fU) << 6 | (p[3] & 0x3fU);
}

/* Characters that steer a terminal or turn the direction of the text around them (H50). */
static bool is_steering(unsigned c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
}

static void print_utf8(FILE *to, struct tk_slice text)
{
    size_t len;

    for (size_t i = 0; i < text.len; i += len) {
        unsigned c = decode_utf8((const unsigned char *)text.ptr + i, &len);
        if (is_steering(c)) {
            fprintf(to, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\')
                fputc('\\', to);
            fwrite(text.ptr + i, 1, len, to);
        }
    }
}

void ctl_print_text(FILE *to, struct tk_slice text)
{
    fputc('"', to);
    if (tk_utf8_valid(text)) {
        print_utf8(to, text);
    } else {
        for (size_t i = 0; i < text.len; i++) {
            unsigned char c = (unsigned char)text.ptr[i];
            if (c > 0x20 && c < 0x7f && c != '"' && c != '\\')
                fputc(c, to);
            else
                fprintf(to, "\\x%02x", c);
        }
    }
    fputc('"', to);
}
