/* SPDX-License-Identifier: MIT */
#include "fcgi-api/cors.h"

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

static bool allows_all(const struct tk_string_list *origins)
{
    for (size_t i = 0; i < origins->count; i++) {
        if (strcmp(origins->items[i], "*") == 0)
            return true;
    }
    return false;
}

/* '*' stands for at least one character, all of them possible in a host name. */
static bool matches(const char *entry, const char *origin)
{
    const char *star = strchr(entry, '*');

    if (star == NULL)
        return strcmp(entry, origin) == 0;
    size_t before = (size_t)(star - entry), after = strlen(star + 1), len = strlen(origin);
    if (len <= before + after || strncmp(origin, entry, before) != 0 ||
        strcmp(origin + len - after, star + 1) != 0)
        return false;
    return strspn(origin + before, HOST_CHARACTERS) >= len - before - after;
}

const char *cors_allowed_origin(const struct tk_string_list *origins, const char *origin)
{
    if (allows_all(origins))
        return "*";
    for (size_t i = 0; origin != NULL && i < origins->count; i++) {
        if (matches(origins->items[i], origin))
            return origin;
    }
    return NULL;
}

bool cors_varies(const struct tk_string_list *origins)
{
    return !allows_all(origins);
}
