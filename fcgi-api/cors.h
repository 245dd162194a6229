/* SPDX-License-Identifier: MIT */
/* Which pages may read our answers (H19-H21). */
#pragma once

#include "common/tk_buf.h"
#include "common/tk_settings.h"

/*
 * The value of Access-Control-Allow-Origin: "*", or origin itself when an entry of the list allows
 * it, or NULL. origin is the request's header, NULL when it has none. An entry may have one '*' in
 * place of leading host labels: https://\*.netlify.app (without the backslash).
 */
const char *cors_allowed_origin(const struct tk_string_list *origins, const char *origin);

/* Does the answer depend on Origin, so that caches must know? */
bool cors_varies(const struct tk_string_list *origins);
