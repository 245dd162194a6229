/* SPDX-License-Identifier: MIT */
/* A JSON:API document coming in: one resource object, checked for its shape (H30-H43, H73). */
#pragma once

#include "common/tk_uuid.h"
#include "fcgi-api/jsonapi.h"

/* What the caller expects of the document. */
struct jsonapi_shape {
    const char *type;
    const char *const *attributes; /* known names, NULL terminated */
    bool refuses_id;               /* creating: clients do not choose ids (H39) */
    const struct tk_uuid *id;      /* what data.id must be if it is there; NULL: not compared */
};

struct jsonapi_request {
    json_object *root;
    json_object *attributes; /* borrowed from root; NULL when there are none */
};

/*
 * False when the document breaks a rule; errors then says which. Values are never quoted, and the
 * values of attributes are not looked at here. jsonapi_request_fini in any case.
 */
bool jsonapi_request_read(struct tk_slice body, const struct jsonapi_shape *shape,
                          struct jsonapi_request *request, struct jsonapi_errors *errors);
void jsonapi_request_fini(struct jsonapi_request *request);
