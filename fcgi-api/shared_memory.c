/* SPDX-License-Identifier: MIT */
#include "fcgi-api/shared_memory.h"

#include <sys/mman.h>

#include "common/tk_base.h"

void *shared_memory_new(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    tk_assert(memory != MAP_FAILED);
    return memory;
}

void shared_memory_free(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}
