/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the body of a request about a user, creating and updating: shape first, then the
 * rules about attributes. What passes keeps its promises to the database; what does not has errors
 * that can be sent.
 */
#include <stdlib.h>

#include "common/tk_json.h"
#include "fcgi-api/jsonapi_request.h"
#include "fcgi-api/resources/user_attributes.h"

#define ID         "309e6af9-ff2c-4664-a1eb-8dac292b90f0"
#define STAMPS_MAX 10

static const struct user_rules rules = {.nickname = {3, 24, NULL}, .stamps_max = STAMPS_MAX};

static void check_changes(const struct user_changes *changes)
{
    if (changes->set_nickname && changes->nickname != NULL) {
        struct tk_slice nickname = tk_slice_str(changes->nickname);
        tk_assert(nickname.len > 0 && nickname.len <= 255 && tk_utf8_valid(nickname));
        for (size_t i = 0; i < nickname.len; i++)
            tk_assert((unsigned char)nickname.ptr[i] >= ' ' && nickname.ptr[i] != 0x7f);
    }
    if (changes->set_stamps)
        tk_assert(changes->stamps_collected >= 0 && changes->stamps_collected <= STAMPS_MAX);
}

/* The error document is one itself, by our own strict scanner. */
static void check_errors(const struct jsonapi_errors *errors)
{
    static const struct tk_json_rules any = {.max_depth = 8, .refuse_duplicate_names = true};
    struct tk_buf text = {0};
    struct tk_json_value value;

    tk_assert(errors->status >= 400 && errors->status <= 409);
    jsonapi_errors_write(errors, &text);
    tk_assert(tk_json_scan(tk_buf_slice(&text), &any, &value, NULL) == TK_OK);
    tk_buf_fini(&text);
}

static void read_document(struct tk_slice body, const struct jsonapi_shape *shape)
{
    struct jsonapi_errors errors = {0};
    struct jsonapi_request request;
    struct user_changes changes;
    struct tk_buf nickname = {0};

    bool ok = jsonapi_request_read(body, shape, &request, &errors) &&
              user_attributes_read(request.attributes, &rules, &changes, &nickname, &errors);
    tk_assert(ok == (errors.status == 0));
    if (ok)
        check_changes(&changes);
    else
        check_errors(&errors);
    jsonapi_request_fini(&request);
    jsonapi_errors_fini(&errors);
    tk_buf_fini(&nickname);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tk_slice body = tk_slice((const char *)data, size);
    struct tk_uuid id;
    struct jsonapi_shape create = {
        .type = "user", .attributes = user_attribute_names, .refuses_id = true};
    struct jsonapi_shape update = {.type = "user", .attributes = user_attribute_names, .id = &id};

    if (tk_uuid_parse(TK_SLICE(ID), &id) != TK_OK)
        abort();
    read_document(body, &create);
    read_document(body, &update);
    return 0;
}
