/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

#include "fcgi-api/jsonapi.h"

/*
 * What is wrong with a query, as "<code> <parameter>; ..." or "ok". Frees the errors; the text is
 * good until the next call.
 */
static const char *render(struct jsonapi_errors *errors)
{
    static char text[1024];

    snprintf(text, sizeof(text), "%s", errors->status == 0 ? "ok" : "");
    for (size_t i = 0; errors->list != NULL && i < json_object_array_length(errors->list); i++) {
        json_object *error = json_object_array_get_idx(errors->list, i);
        json_object *source = json_object_object_get(error, "source");
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %s", i > 0 ? "; " : "",
                 json_object_get_string(json_object_object_get(error, "code")),
                 json_object_get_string(json_object_object_get(source, "parameter")));
    }
    jsonapi_errors_fini(errors);
    return text;
}
