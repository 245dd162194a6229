/* SPDX-License-Identifier: MIT */
/*
 * The API described for tools (H105): an OpenAPI document and the schemas in it. Written by hand in
 * description/ and built into the program; limits and error codes are filled in from what is in
 * force, and tests hold the rest against the route table and against real answers.
 */
#pragma once

#include "common/tk_buf.h"
#include "fcgi-api/settings.h"

struct description {
    struct tk_buf open_api;
    struct tk_buf json_schema;
};

void description_init(struct description *description, const struct api_settings *settings);
void description_fini(struct description *description);
