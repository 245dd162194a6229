/* SPDX-License-Identifier: MIT */
/*
 * Reading a directory of migrations. Every .sql file must be one: a migration that is skipped
 * because of a slip in its name would be worse than an error. Other files are left alone.
 */
#include "common/takoctl/migration_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/tk_buf.h"
#include "common/tk_json.h"
#include "common/tk_log.h"

#define VERSION_DIGITS 14
#define SUFFIX         ".sql"
#define MAX_NAME_BYTES 100
#define MAX_FILE_BYTES ((size_t)1024 * 1024)
#define MAX_FILES      10000

static bool has_suffix(const char *file)
{
    size_t len = strlen(file), suffix_len = strlen(SUFFIX);

    return len >= suffix_len && strcmp(file + len - suffix_len, SUFFIX) == 0;
}

static int two_digits(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

static bool is_date_and_time(const char *digits)
{
    int month = two_digits(digits + 4), day = two_digits(digits + 6);

    return month >= 1 && month <= 12 && day >= 1 && day <= 31 && two_digits(digits + 8) < 24 &&
           two_digits(digits + 10) < 60 && two_digits(digits + 12) < 60;
}

enum tk_err migration_name_parse(const char *file, int64_t *version, struct tk_slice *name)
{
    size_t digits = strspn(file, "0123456789");

    if (digits != VERSION_DIGITS || !is_date_and_time(file) || file[digits] != '_' ||
        !has_suffix(file))
        return TK_EINVAL;
    struct tk_slice found = tk_slice(file + digits + 1, strlen(file) - digits - 1 - strlen(SUFFIX));
    if (found.len == 0 || found.len > MAX_NAME_BYTES ||
        strspn(found.ptr, "abcdefghijklmnopqrstuvwxyz0123456789_") != found.len)
        return TK_EINVAL;
    *version = strtoll(file, NULL, 10);
    *name = found;
    return TK_OK;
}

bool migration_is_outside_transaction(const char *sql)
{
    static const char directive[] = "-- no-transaction";
    size_t len = strcspn(sql, "\r\n");

    while (len > 0 && (sql[len - 1] == ' ' || sql[len - 1] == '\t'))
        len--;
    return tk_slice_eq_str(tk_slice(sql, len), directive);
}

/* Whether the line holds nothing, or nothing but a comment. */
static bool is_silent(struct tk_slice line)
{
    size_t i = 0;

    while (i < line.len && strchr(" \t\r\n", line.ptr[i]) != NULL)
        i++;
    return i == line.len || (i + 1 < line.len && line.ptr[i] == '-' && line.ptr[i + 1] == '-');
}

static bool ends_statement(struct tk_slice line)
{
    while (line.len > 0 && strchr(" \t\r\n", line.ptr[line.len - 1]) != NULL)
        line.len--;
    return line.len > 0 && line.ptr[line.len - 1] == ';';
}

static struct tk_slice take_line(struct tk_slice *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct tk_slice line = tk_slice(rest->ptr, end ? (size_t)(end - rest->ptr) + 1 : rest->len);

    *rest = tk_slice(rest->ptr + line.len, rest->len - line.len);
    return line;
}

bool migration_next_statement(struct tk_slice *rest, struct tk_slice *statement)
{
    struct tk_slice found = {0};

    while (rest->len > 0) {
        struct tk_slice line = take_line(rest);
        bool silent = is_silent(line);
        if (found.len == 0 && silent)
            continue;
        if (found.len == 0)
            found.ptr = line.ptr;
        found.len += line.len;
        if (!silent && ends_statement(line))
            break;
    }
    *statement = found;
    return found.len > 0;
}

/* The file's content, terminated. */
static enum tk_err read_text(int fd, struct tk_buf *text, struct ctl_problem *problem)
{
    for (;;) {
        const size_t step = 16384;
        ssize_t got = read(fd, tk_buf_reserve(text, step), step);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ctl_problem_set(problem, "%s", strerror(errno));
        if (got == 0)
            break;
        text->len += (size_t)got;
        if (text->len > MAX_FILE_BYTES)
            return ctl_problem_set(problem, "is larger than %zu bytes", MAX_FILE_BYTES);
    }
    if (text->len > 0 && memchr(text->data, '\0', text->len) != NULL)
        return ctl_problem_set(problem, "holds a NUL byte");
    if (!tk_utf8_valid(tk_buf_slice(text)))
        return ctl_problem_set(problem, "is not UTF-8");
    return TK_OK;
}

static enum tk_err read_file(int directory, const char *file, struct tk_buf *text,
                             struct ctl_problem *problem)
{
    struct stat status;
    enum tk_err err;
    /* O_NONBLOCK: a named pipe in the directory would block the open. */
    int fd = openat(directory, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return ctl_problem_set(problem, "%s", strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        err = ctl_problem_set(problem, "is no regular file");
    else
        err = read_text(fd, text, problem);
    close(fd);
    return err;
}

static enum tk_err add_file(struct migration_list *list, int directory, const char *file,
                            struct ctl_problem *problem)
{
    struct tk_buf text = {0};
    struct tk_slice name;
    int64_t version;

    if (list->count == MAX_FILES)
        return ctl_problem_set(problem, "is one migration too many");
    if (migration_name_parse(file, &version, &name) != TK_OK)
        return ctl_problem_set(problem, "must be named like 20261123000100_create_users.sql");
    enum tk_err err = read_file(directory, file, &text, problem);
    if (!err) {
        list->items = tk_xrealloc(list->items, (list->count + 1) * sizeof(*list->items));
        list->items[list->count++] = (struct migration){
            .version = version,
            .name = tk_xstrndup(name.ptr, name.len),
            .sql = tk_xstrdup(tk_buf_str(&text)),
            .is_outside_transaction = migration_is_outside_transaction(tk_buf_str(&text)),
        };
    }
    tk_buf_fini(&text);
    return err;
}

static int compare_versions(const void *left, const void *right)
{
    int64_t a = ((const struct migration *)left)->version;
    int64_t b = ((const struct migration *)right)->version;

    return (a > b) - (a < b);
}

static enum tk_err sort(struct migration_list *list, struct ctl_problem *problem)
{
    qsort(list->items, list->count, sizeof(*list->items), compare_versions);
    for (size_t i = 1; i < list->count; i++) {
        const struct migration *a = &list->items[i - 1], *b = &list->items[i];
        if (a->version == b->version)
            return ctl_problem_set(problem, "%s and %s have the same version %lld", a->name,
                                   b->name, (long long)a->version);
    }
    return TK_OK;
}

static enum tk_err read_directory(DIR *dir, const char *path, struct migration_list *list,
                                  struct ctl_problem *problem)
{
    struct ctl_problem why = {{0}};
    const struct dirent *entry;

    while ((errno = 0, entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || !has_suffix(entry->d_name))
            continue;
        if (add_file(list, dirfd(dir), entry->d_name, &why))
            return ctl_problem_set(problem, "%.200s/%s: %.200s", path,
                                   TK_ESCAPE(tk_slice_str(entry->d_name)), why.text);
    }
    if (errno != 0)
        return ctl_problem_set(problem, "cannot read %.200s: %s", path, strerror(errno));
    if (list->count == 0)
        return ctl_problem_set(problem, "there are no migrations in %.200s", path);
    return sort(list, problem);
}

enum tk_err migration_list_load(const char *directory, struct migration_list *list,
                                struct ctl_problem *problem)
{
    struct migration_list loaded = {0};
    DIR *dir = opendir(directory);

    if (dir == NULL)
        return ctl_problem_set(problem, "cannot open %.200s: %s", directory, strerror(errno));
    enum tk_err err = read_directory(dir, directory, &loaded, problem);
    closedir(dir);
    if (err)
        migration_list_fini(&loaded);
    else
        *list = loaded;
    return err;
}

void migration_list_fini(struct migration_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].sql);
    }
    free(list->items);
    *list = (struct migration_list){0};
}

const struct migration *migration_list_find(const struct migration_list *list, int64_t version)
{
    const struct migration key = {.version = version};

    if (list->count == 0)
        return NULL;
    return bsearch(&key, list->items, list->count, sizeof(key), compare_versions);
}
