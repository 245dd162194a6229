/* SPDX-License-Identifier: MIT */
/*
 * Users as JSON:API resources (H60-H76). A user's id is a credential: it appears in the answer to
 * its own holder, in the administrator's list, and nowhere else.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/envelope.h"
#include "common/tk_json.h"
#include "fcgi-api/api.h"
#include "fcgi-api/etag.h"
#include "fcgi-api/jsonapi_request.h"
#include "fcgi-api/media_type.h"
#include "fcgi-api/resources/idempotency.h"
#include "fcgi-api/resources/resources.h"
#include "fcgi-api/resources/user_attributes.h"
#include "fcgi-api/resources/user_options.h"

#define TYPE         "user"
#define COLLECTION   "/api/json/accounts/users"
#define NICKNAME_MIN 3 /* on update only (H46, D5) */

static void write_nickname(const struct user *user, struct tk_buf *out)
{
    tk_buf_append_str(out, "\"nickname\":");
    if (user->nickname != NULL)
        tk_json_write_string(out, tk_slice_str(user->nickname));
    else
        tk_buf_append_str(out, "null");
}

static void write_stamps(const struct user *user, struct tk_buf *out)
{
    tk_buf_append_str(out, "\"stamps_collected\":");
    if (user->has_stamps)
        tk_buf_appendf(out, "%" PRId64, user->stamps_collected);
    else
        tk_buf_append_str(out, "null");
}

static void write_attributes(const struct user *user, const struct fieldset *fields,
                             struct tk_buf *out)
{
    bool shows_nickname = !fields->given || fields->nickname;
    bool shows_stamps = !fields->given || fields->stamps_collected;

    tk_buf_append_char(out, '{');
    if (shows_nickname)
        write_nickname(user, out);
    if (shows_nickname && shows_stamps)
        tk_buf_append_char(out, ',');
    if (shows_stamps)
        write_stamps(user, out);
    tk_buf_append_char(out, '}');
}

static void write_user_link(const struct exchange *x, const struct tk_uuid *id, struct tk_buf *out)
{
    char target[sizeof(COLLECTION) + 1 + TK_UUID_LEN];
    char id_text[TK_UUID_LEN + 1];

    snprintf(target, sizeof(target), COLLECTION "/%s", tk_uuid_format(id, id_text));
    exchange_write_link(x, tk_slice_str(target), out);
}

static void write_user(const struct exchange *x, const struct user *user,
                       const struct fieldset *fields, struct tk_buf *out)
{
    char id_text[TK_UUID_LEN + 1];
    struct tk_buf link = {0};

    write_user_link(x, &user->id, &link);
    tk_buf_append_str(out, "{\"attributes\":");
    write_attributes(user, fields, out);
    tk_buf_appendf(out, ",\"id\":\"%s\",\"links\":{", tk_uuid_format(&user->id, id_text));
    jsonapi_link_write("self", tk_buf_slice(&link), out);
    tk_buf_append_str(out, "},\"meta\":{},\"relationships\":{},\"type\":\"" TYPE "\"}");
    tk_buf_fini(&link);
}

static void answer_user(struct exchange *x, int status, const struct user *user,
                        const struct fieldset *fields)
{
    struct tk_buf data = {0}, links = {0};

    x->response->status = status;
    x->response->content_type = MEDIA_JSONAPI;
    tk_uuid_short(&user->id, x->response->user);
    write_user(x, user, fields, &data);
    tk_buf_append_char(&links, '{');
    exchange_write_self_link(x, &links);
    tk_buf_append_char(&links, '}');
    jsonapi_document_write(tk_buf_slice(&data), tk_buf_slice(&links), &x->response->body);
    tk_buf_fini(&data);
    tk_buf_fini(&links);
    if (!fields->given) { /* H101 */
        struct etag etag = etag_of_version(user->updated_us);
        response_set_etag(x->response, x->request, &etag);
    }
}

static void announce(struct exchange *x, enum tk_user_event_kind kind, const struct user *user)
{
    struct tk_user_event event = {
        .kind = kind,
        .id = user->id,
        .nickname = user->nickname != NULL ? tk_slice_str(user->nickname) : (struct tk_slice){0},
        .has_stamps = user->has_stamps,
        .stamps_collected = user->stamps_collected,
    };

    tk_user_event_write(&x->response->user_event, &event);
}

/*
 * The document of the request, through all rules. The caller ends request and nickname whether it
 * succeeded or not.
 */
static bool read_changes(struct exchange *x, const struct jsonapi_shape *shape,
                         unsigned nickname_min, struct user_changes *changes,
                         struct tk_buf *nickname)
{
    const struct api_settings *settings = x->api->settings;
    struct user_rules rules = {
        .nickname = {nickname_min, (unsigned)settings->nickname_max, x->api->profanity},
        .stamps_max = settings->stamps_max,
    };
    struct jsonapi_request request;

    bool ok = jsonapi_request_read(tk_buf_slice(&x->body), shape, &request, &x->errors) &&
              user_attributes_read(request.attributes, &rules, changes, nickname, &x->errors);
    jsonapi_request_fini(&request);
    return ok;
}

/* Stores the user, or finds the one that an earlier request with the same key has stored. */
static bool store_new(struct exchange *x, const struct user_changes *values, struct user *user,
                      enum users_outcome *outcome)
{
    struct users_once once;
    enum tk_err err;

    *outcome = USERS_CREATED;
    if (x->request->headers[HEADER_IDEMPOTENCY_KEY] == NULL)
        err = users_create(x->api->db, values, user);
    else if (idempotency_read(x, &once))
        err = users_create_once(x->api->db, values, &once, user, outcome);
    else
        return false;
    if (err)
        exchange_fail(x, err);
    return !err && idempotency_accept(x, *outcome);
}

void users_resource_create(struct exchange *x)
{
    static const struct jsonapi_shape shape = {
        .type = TYPE, .attributes = user_attribute_names, .refuses_id = true};
    struct fieldset fields;
    struct user_changes values;
    struct tk_buf nickname = {0}, location = {0};
    struct user user = {0};
    enum users_outcome outcome;

    if (!user_options_read(&x->query, &fields, &x->errors) ||
        !read_changes(x, &shape, 0, &values, &nickname))
        goto out;
    if (!store_new(x, &values, &user, &outcome))
        goto out;
    write_user_link(x, &user.id, &location);
    response_add_header(x->response, "Location", tk_buf_str(&location));
    answer_user(x, 201, &user, &fields);
    if (outcome == USERS_CREATED)
        announce(x, TK_USER_CREATED, &user);
out:
    tk_buf_fini(&nickname);
    tk_buf_fini(&location);
    user_fini(&user);
}

void users_resource_show(struct exchange *x)
{
    struct fieldset fields;
    struct tk_uuid id;
    struct user user = {0};

    if (!user_options_read(&x->query, &fields, &x->errors))
        return;
    enum tk_err err = TK_ENOTFOUND; /* H71: a malformed id is an unknown one */
    if (tk_uuid_parse(x->match.id, &id) == TK_OK)
        err = users_get(x->api->db, &id, &user);
    if (err)
        exchange_fail(x, err);
    else
        answer_user(x, 200, &user, &fields);
    user_fini(&user);
}

/*
 * If-Match (H101): finds out which version the client means, so that the update itself can insist
 * on it. TK_EDENIED when the current one is not among those named.
 */
static enum tk_err pin_version(struct exchange *x, const struct tk_uuid *id,
                               struct user_changes *changes)
{
    const char *condition = x->request->headers[HEADER_IF_MATCH];
    struct user current = {0};

    if (condition == NULL)
        return TK_OK;
    enum tk_err err = users_get(x->api->db, id, &current);
    if (err)
        return err;
    struct etag etag = etag_of_version(current.updated_us);
    if (!etag_if_match(condition, &etag)) {
        err = TK_EDENIED;
    } else if (strcmp(condition, "*") != 0) {
        changes->if_unchanged = true;
        changes->expected_updated_us = current.updated_us;
    }
    user_fini(&current);
    return err;
}

/* Nothing sent means nothing written, and no row locked (H68). */
static enum tk_err store_changes(struct exchange *x, const struct tk_uuid *id,
                                 struct user_changes *changes, struct user *user, bool *changed)
{
    enum tk_err err = pin_version(x, id, changes);

    *changed = false;
    if (err)
        return err;
    if (!changes->set_nickname && !changes->set_stamps)
        return users_get(x->api->db, id, user);
    return users_update(x->api->db, id, changes, user, changed);
}

void users_resource_update(struct exchange *x)
{
    struct tk_uuid id;
    bool id_is_good = tk_uuid_parse(x->match.id, &id) == TK_OK, changed = false;
    struct jsonapi_shape shape = {
        .type = TYPE, .attributes = user_attribute_names, .id = id_is_good ? &id : NULL};
    struct fieldset fields;
    struct user_changes changes;
    struct tk_buf nickname = {0};
    struct user user = {0};

    if (!user_options_read(&x->query, &fields, &x->errors) ||
        !read_changes(x, &shape, NICKNAME_MIN, &changes, &nickname))
        goto out;
    enum tk_err err = TK_ENOTFOUND;
    if (id_is_good)
        err = store_changes(x, &id, &changes, &user, &changed);
    if (err) {
        exchange_fail(x, err);
        goto out;
    }
    answer_user(x, 200, &user, &fields);
    if (changed)
        announce(x, TK_USER_UPDATED, &user);
out:
    tk_buf_fini(&nickname);
    user_fini(&user);
}

/* One page of the administrator's list while its rows come in. */
struct user_list {
    const struct exchange *x;
    struct fieldset fields;
    struct user_selection selection;
    struct tk_buf data;
};

static void add_to_list(void *arg, const struct user *user)
{
    struct user_list *list = arg;

    tk_buf_append_char(&list->data, list->data.len == 0 ? '[' : ',');
    write_user(list->x, user, &list->fields, &list->data);
}

/* The request's other parameters, so that all pages are of one list and look alike. */
static void write_other_parameters(const struct query *query, struct tk_buf *link)
{
    for (size_t i = 0; i < query->count; i++) {
        const struct query_parameter *parameter = &query->parameters[i];
        if (tk_slice_eq_str(parameter->name, "page[limit]") ||
            tk_slice_eq_str(parameter->name, "page[offset]") ||
            query_is_overridden(query, parameter))
            continue;
        tk_buf_append_char(link, '&');
        query_encode(parameter->name, link);
        tk_buf_append_char(link, '=');
        query_encode(parameter->value, link);
    }
}

static void add_page_link(const struct user_list *list, const char *name, unsigned offset,
                          struct tk_buf *links)
{
    struct tk_buf url = {0};

    exchange_write_link(list->x, TK_SLICE(COLLECTION), &url);
    tk_buf_appendf(&url, "?page%%5Blimit%%5D=%u", list->selection.limit);
    if (offset > 0)
        tk_buf_appendf(&url, "&page%%5Boffset%%5D=%u", offset);
    write_other_parameters(&list->x->query, &url);
    tk_buf_append_char(links, ',');
    jsonapi_link_write(name, tk_buf_slice(&url), links);
    tk_buf_fini(&url);
}

/* A next page beyond the largest offset could not be asked for. */
static void write_page_links(const struct user_list *list, bool more, struct tk_buf *links)
{
    unsigned limit = list->selection.limit, offset = list->selection.offset;

    tk_buf_append_char(links, '{');
    exchange_write_self_link(list->x, links);
    add_page_link(list, "first", 0, links);
    if (offset > 0)
        add_page_link(list, "prev", offset > limit ? offset - limit : 0, links);
    if (more && offset + limit <= USER_PAGE_OFFSET_MAX)
        add_page_link(list, "next", offset + limit, links);
    tk_buf_append_char(links, '}');
}

void users_resource_list(struct exchange *x)
{
    struct user_list list = {.x = x};
    struct tk_buf links = {0};
    bool more = false;

    if (!user_list_options_read(&x->query, &list.fields, &list.selection, &x->errors))
        return;
    enum tk_err err = users_list(x->api->db, &list.selection, add_to_list, &list, &more);
    if (err) {
        exchange_fail(x, err);
        goto out;
    }
    tk_buf_append_str(&list.data, list.data.len == 0 ? "[]" : "]");
    write_page_links(&list, more, &links);
    x->response->status = 200;
    x->response->content_type = MEDIA_JSONAPI;
    jsonapi_document_write(tk_buf_slice(&list.data), tk_buf_slice(&links), &x->response->body);
out:
    tk_buf_fini(&list.data);
    tk_buf_fini(&links);
}
