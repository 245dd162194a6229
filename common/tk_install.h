/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_base.h"

/*
 * A file that came with the program: ../share/tako/<installed> from where the program is, or, when
 * it runs from the checkout it was built in, ../../<source>, or share/tako/<installed> below the
 * prefix it was built for. The first that exists; the last of them when none does, for the error
 * message. The caller's to free.
 */
char *tk_installed_file(const char *installed, const char *source);
