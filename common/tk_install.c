/* SPDX-License-Identifier: MIT */
#include "common/tk_install.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* Where this program is, without the final slash; empty when the system does not say. */
static void read_program_directory(char directory[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", directory, PATH_MAX - 1);

    directory[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        *slash = '\0';
}

char *tk_installed_file(const char *installed, const char *source)
{
    char program[PATH_MAX];

    read_program_directory(program);
    char *candidates[] = {
        tk_xasprintf("%s/../share/tako/%s", program, installed),
        tk_xasprintf("%s/../../%s", program, source),
        tk_xasprintf("%s/share/tako/%s", TAKO_PREFIX, installed),
    };
    size_t last = TK_ARRAY_LEN(candidates) - 1, chosen = 0;

    while (chosen < last && access(candidates[chosen], F_OK) != 0)
        chosen++;
    for (size_t i = 0; i <= last; i++) {
        if (i != chosen)
            free(candidates[i]);
    }
    return candidates[chosen];
}
