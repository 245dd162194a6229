/* SPDX-License-Identifier: MIT */
/* JSON:API documents going out: error documents (H89) and the frame around data (H60). */
#pragma once

#include <json-c/json.h>

#include "common/tk_base.h"
#include "common/tk_buf.h"

/* One row each in a table of status, code and title. */
enum jsonapi_error {
    JSONAPI_UNAUTHORIZED,
    JSONAPI_FORBIDDEN,
    JSONAPI_NOT_FOUND,
    JSONAPI_METHOD_NOT_ALLOWED,
    JSONAPI_NOT_ACCEPTABLE,
    JSONAPI_CONFLICT,
    JSONAPI_PRECONDITION_FAILED,
    JSONAPI_TOO_LARGE,
    JSONAPI_UNSUPPORTED_MEDIA_TYPE,
    JSONAPI_INVALID_JSON,
    JSONAPI_INVALID_BODY,
    JSONAPI_INVALID_ATTRIBUTE,
    JSONAPI_INVALID_FIELD,
    JSONAPI_INVALID_TYPE,
    JSONAPI_INVALID_SORT,
    JSONAPI_INVALID_FILTER,
    JSONAPI_INVALID_PAGINATION,
    JSONAPI_INVALID_INCLUDES,
    JSONAPI_INVALID_QUERY,
    JSONAPI_INVALID_HEADER,
    JSONAPI_KEY_REUSED,
    JSONAPI_TOO_MANY_REQUESTS,
    JSONAPI_INTERNAL,
    JSONAPI_UNAVAILABLE,
};

enum jsonapi_source {
    JSONAPI_SOURCE_NONE,
    JSONAPI_SOURCE_POINTER,
    JSONAPI_SOURCE_PARAMETER,
    JSONAPI_SOURCE_HEADER,
};

/*
 * The errors of one answer. They share one status (H8): that of the first; later ones with another
 * status are dropped, and so are those past a sensible number. Zero-initialise.
 */
struct jsonapi_errors {
    json_object *list;
    int status; /* 0: none so far */
};
void jsonapi_errors_fini(struct jsonapi_errors *errors);

/* detail is for people and never quotes a value; source is a pointer, parameter or header name. */
void jsonapi_errors_add(struct jsonapi_errors *errors, enum jsonapi_error kind, const char *detail,
                        enum jsonapi_source where, struct tk_slice source);

/* All codes that errors may have, as JSON strings with commas between them, appended. */
void jsonapi_write_error_codes(struct tk_buf *out);

/* {"errors":[...],"jsonapi":...}, appended. */
void jsonapi_errors_write(const struct jsonapi_errors *errors, struct tk_buf *out);

/* {"data":data,"jsonapi":...,"links":links}, appended; data and links are JSON text. */
void jsonapi_document_write(struct tk_slice data, struct tk_slice links, struct tk_buf *out);

/* "name":"url", a member of a links object, appended. */
void jsonapi_link_write(const char *name, struct tk_slice url, struct tk_buf *out);
