/* SPDX-License-Identifier: MIT */
/* One function per family of parameters; a name in no family is unknown and so refused (H82). */
#include "fcgi-api/resources/user_options.h"

#include "fcgi-api/resources/user_attributes.h"

/* What the parameters of one request add up to. selection is NULL where there is no list. */
struct options {
    struct fieldset *fields;
    struct user_selection *selection;
    struct jsonapi_errors *errors;
};

static bool begins_with(struct tk_slice text, const char *prefix)
{
    return text.len >= strlen(prefix) && memcmp(text.ptr, prefix, strlen(prefix)) == 0;
}

/* Is name "family" or "family[...": a form of that parameter, right or wrong? */
static bool is_of_family(struct tk_slice name, const char *family)
{
    return begins_with(name, family) &&
           (name.len == strlen(family) || name.ptr[strlen(family)] == '[');
}

static void read_field_names(const struct query_parameter *parameter, const struct options *options)
{
    struct fieldset *fields = options->fields;
    struct tk_slice names = parameter->value;

    *fields = (struct fieldset){.given = true};
    while (names.ptr != NULL && parameter->value.len > 0) {
        struct tk_slice name = query_cut(&names, ',');
        if (tk_slice_eq_str(name, "nickname"))
            fields->nickname = true;
        else if (tk_slice_eq_str(name, "stamps_collected"))
            fields->stamps_collected = true;
        else if (!tk_slice_eq_str(name, "id"))
            query_refuse(options->errors, JSONAPI_INVALID_FIELD, parameter,
                         "There is no such field.");
    }
}

static void read_fields(const struct query_parameter *parameter, const struct options *options)
{
    struct tk_slice name = parameter->name;

    if (tk_slice_eq_str(name, "fields[user]"))
        read_field_names(parameter, options);
    else if (tk_slice_eq_str(name, "fields") || begins_with(name, "fields[user]"))
        query_refuse(options->errors, JSONAPI_INVALID_FIELD, parameter,
                     "Use fields[user]=name,name.");
    else
        query_refuse(options->errors, JSONAPI_INVALID_TYPE, parameter,
                     "There is no such type; use fields[user].");
}

static bool find_column(struct tk_slice name, enum user_column *column)
{
    static const char *const names[] = {[USER_COLUMN_ID] = "id",
                                        [USER_COLUMN_NICKNAME] = "nickname",
                                        [USER_COLUMN_STAMPS] = "stamps_collected"};

    for (size_t i = 0; i < TK_ARRAY_LEN(names); i++) {
        if (tk_slice_eq_str(name, names[i])) {
            *column = (enum user_column)i;
            return true;
        }
    }
    return false;
}

/* A column that is named again decides nothing any more. */
static void add_sort_key(struct user_selection *selection, struct user_sort_key key)
{
    for (size_t i = 0; i < selection->sort_count; i++) {
        if (selection->sort[i].column == key.column)
            return;
    }
    selection->sort[selection->sort_count++] = key;
}

static void read_sort(const struct query_parameter *parameter, const struct options *options)
{
    struct tk_slice names = parameter->value;

    if (!tk_slice_eq_str(parameter->name, "sort")) {
        query_refuse(options->errors, JSONAPI_INVALID_SORT, parameter, "Use sort=name,-name.");
        return;
    }
    do {
        struct user_sort_key key = {0};
        struct tk_slice name = query_cut(&names, ',');
        key.descending = name.len > 0 && name.ptr[0] == '-';
        if (key.descending)
            name = tk_slice(name.ptr + 1, name.len - 1);
        if (find_column(name, &key.column))
            add_sort_key(options->selection, key);
        else
            query_refuse(options->errors, JSONAPI_INVALID_SORT, parameter,
                         "Sort by id, nickname or stamps_collected, each with or without '-'.");
    } while (names.ptr != NULL);
}

/* False for a value that a column of this type cannot have at all. */
static bool set_filter(struct user_selection *selection, enum user_column column,
                       struct tk_slice value)
{
    if (value.len == 0) {
        selection->is_empty = true; /* H79: matches nobody, not even those without a value */
        return true;
    }
    selection->filter[column] = true;
    switch (column) {
    case USER_COLUMN_ID:
        return tk_uuid_parse(value, &selection->id) == TK_OK;
    case USER_COLUMN_NICKNAME:
        selection->nickname = value;
        return memchr(value.ptr, '\0', value.len) == NULL;
    default:
        return user_stamps_parse(value, &selection->stamps_collected) == TK_OK;
    }
}

static void read_filter(const struct query_parameter *parameter, const struct options *options)
{
    struct tk_slice name = parameter->name;
    const size_t skip = strlen("filter[");
    enum user_column column;

    if (name.len <= skip || name.ptr[name.len - 1] != ']' ||
        !find_column(tk_slice(name.ptr + skip, name.len - skip - 1), &column))
        query_refuse(options->errors, JSONAPI_INVALID_FILTER, parameter,
                     "Use filter[id], filter[nickname] or filter[stamps_collected].");
    else if (!set_filter(options->selection, column, parameter->value))
        query_refuse(options->errors, JSONAPI_INVALID_FILTER, parameter,
                     "No user can have such a value.");
}

static void read_page(const struct query_parameter *parameter, const struct options *options)
{
    unsigned number;

    if (tk_slice_eq_str(parameter->name, "page[limit]")) {
        if (query_parse_number(parameter->value, USER_PAGE_LIMIT_MAX, &number) && number > 0)
            options->selection->limit = number;
        else
            query_refuse(options->errors, JSONAPI_INVALID_PAGINATION, parameter,
                         "page[limit] must be between 1 and 1000.");
    } else if (tk_slice_eq_str(parameter->name, "page[offset]")) {
        if (query_parse_number(parameter->value, USER_PAGE_OFFSET_MAX, &number))
            options->selection->offset = number;
        else
            query_refuse(options->errors, JSONAPI_INVALID_PAGINATION, parameter,
                         "page[offset] must be between 0 and 1000000000.");
    } else {
        query_refuse(options->errors, JSONAPI_INVALID_PAGINATION, parameter,
                     "Use page[limit] and page[offset].");
    }
}

static void refuse_include(const struct query_parameter *parameter, const struct options *options)
{
    query_refuse(options->errors, JSONAPI_INVALID_INCLUDES, parameter,
                 "include is not supported here.");
}

static const struct {
    const char *family;
    bool is_for_lists;
    void (*read)(const struct query_parameter *parameter, const struct options *options);
} families[] = {
    {"fields", false, read_fields}, {"include", false, refuse_include}, {"sort", true, read_sort},
    {"filter", true, read_filter},  {"page", true, read_page},
};

static void read_parameter(const struct query_parameter *parameter, const struct options *options)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(families); i++) {
        if (is_of_family(parameter->name, families[i].family) &&
            (options->selection != NULL || !families[i].is_for_lists)) {
            families[i].read(parameter, options);
            return;
        }
    }
    query_refuse(options->errors, JSONAPI_INVALID_QUERY, parameter,
                 "There is no such parameter here.");
}

static bool read_all(const struct query *query, const struct options *options)
{
    for (size_t i = 0; i < query->count; i++) {
        if (!query_is_overridden(query, &query->parameters[i]))
            read_parameter(&query->parameters[i], options);
    }
    return options->errors->status == 0;
}

bool user_options_read(const struct query *query, struct fieldset *fields,
                       struct jsonapi_errors *errors)
{
    struct options options = {fields, NULL, errors};

    *fields = (struct fieldset){0};
    return read_all(query, &options);
}

bool user_list_options_read(const struct query *query, struct fieldset *fields,
                            struct user_selection *selection, struct jsonapi_errors *errors)
{
    struct options options = {fields, selection, errors};

    *fields = (struct fieldset){0};
    *selection = (struct user_selection){.limit = USER_PAGE_LIMIT_DEFAULT};
    return read_all(query, &options);
}
