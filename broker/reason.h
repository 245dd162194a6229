/* SPDX-License-Identifier: MIT */
#pragma once

/* Why something failed, in the words of a library or a server, fit for quotes in a log line. */
struct reason {
    char text[200];
};

/* Keeps the first line, as printable ASCII without quotes and backslashes. Returns out->text. */
static inline const char *reason_quote(struct reason *out, const char *words)
{
    unsigned len = 0;
    for (const char *p = words; *p != '\0' && *p != '\n' && len < sizeof(out->text) - 1; p++) {
        char c = *p;
        if (c == '"' || c == '\\')
            c = '\'';
        else if (c < ' ' || c > '~')
            c = '?';
        out->text[len++] = c;
    }
    out->text[len] = '\0';
    return out->text;
}

#define REASON(words) reason_quote(&(struct reason){{0}}, (words))
