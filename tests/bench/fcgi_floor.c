/* SPDX-License-Identifier: MIT */
/*
 * The yardstick of the API: the least a FastCGI program can do behind a web server. Each worker
 * accepts, reads until the request is complete, writes one ready-made answer and closes. With a
 * statement it also runs that through libpq, prepared, before it answers. No routes, no checks, no
 * JSON, no log and no deadline: what tako-api costs beyond this is what those cost.
 */
#include <errno.h>
#include <fastcgi.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/tk_buf.h"
#include "common/tk_uuid.h"

#define BACKLOG        1024
#define MAX_WORKERS    1024
#define MAX_REQUEST    8192
#define STATEMENT_NAME "floor"
#define ID_COMES_AFTER "/accounts/users/"

static const char usage[] =
    "usage: fcgi_floor --socket PATH --answer TEXT [option...], until the end of stdin\n"
    "\n"
    "  --answer TEXT    headers, an empty line, body: what a CGI program would write\n"
    "  --workers N      processes (16)\n"
    "  --database URL   where the statement runs\n"
    "  --statement SQL  must give one row; $1, if there, is the id of the user in the address\n";

struct options {
    const char *socket, *answer, *database, *statement;
    unsigned workers;
};

struct worker {
    int listen_fd;
    PGconn *database; /* NULL: none is asked */
    int parameters;   /* of the statement */
    struct tk_buf answer;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "fcgi_floor: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

/* The protocol --------------------------------------------------------------------------------- */

static void append_header(struct tk_buf *out, int type, size_t length)
{
    const FCGI_Header header = {
        .version = FCGI_VERSION_1,
        .type = (unsigned char)type,
        .requestIdB0 = 1, /* web servers that send one request per connection call it 1 */
        .contentLengthB1 = (unsigned char)(length >> 8),
        .contentLengthB0 = (unsigned char)length,
    };

    tk_buf_append(out, &header, sizeof(header));
}

static void append_answer(struct tk_buf *out, const char *text)
{
    const FCGI_EndRequestBody end = {.protocolStatus = FCGI_REQUEST_COMPLETE};

    if (strlen(text) > FCGI_MAX_LENGTH)
        fail("--answer", "too long");
    append_header(out, FCGI_STDOUT, strlen(text));
    tk_buf_append_str(out, text);
    append_header(out, FCGI_STDOUT, 0);
    append_header(out, FCGI_END_REQUEST, sizeof(end));
    tk_buf_append(out, &end, sizeof(end));
}

/* A request ends with an empty record of its body. */
static bool is_complete(struct tk_slice request)
{
    FCGI_Header header;

    while (request.len >= sizeof(header)) {
        memcpy(&header, request.ptr, sizeof(header));
        size_t content = (size_t)header.contentLengthB1 << 8 | header.contentLengthB0;
        size_t record = sizeof(header) + content + header.paddingLength;
        if (header.type == FCGI_STDIN && content == 0)
            return true;
        if (record > request.len)
            return false;
        request = tk_slice(request.ptr + record, request.len - record);
    }
    return false;
}

/* False when the web server went away. */
static bool read_request(int fd, char *buffer, size_t size, struct tk_slice *request)
{
    *request = tk_slice(buffer, 0);
    do {
        ssize_t got = recv(fd, buffer + request->len, size - request->len, 0);
        if (got <= 0)
            return false;
        request->len += (size_t)got;
    } while (!is_complete(*request));
    return true;
}

/* Workers -------------------------------------------------------------------------------------- */

static void check_result(const struct worker *w, PGresult *result, ExecStatusType wanted)
{
    if (PQresultStatus(result) != wanted)
        fail("statement", PQerrorMessage(w->database));
    if (wanted == PGRES_TUPLES_OK && PQntuples(result) != 1)
        fail("statement", "not one row");
    PQclear(result);
}

static void prepare_statement(struct worker *w, const struct options *options)
{
    w->database = PQconnectdb(options->database);
    if (PQstatus(w->database) != CONNECTION_OK)
        fail("database", PQerrorMessage(w->database));
    w->parameters = strstr(options->statement, "$1") != NULL ? 1 : 0;
    check_result(w, PQprepare(w->database, STATEMENT_NAME, options->statement, w->parameters, NULL),
                 PGRES_COMMAND_OK);
}

static void run_statement(const struct worker *w, struct tk_slice request)
{
    const char *mark = memmem(request.ptr, request.len, ID_COMES_AFTER, strlen(ID_COMES_AFTER));
    const char *id = mark != NULL ? mark + strlen(ID_COMES_AFTER) : request.ptr;
    char parameter[TK_UUID_LEN + 1] = "";
    const char *const parameters[] = {parameter};

    if (id + TK_UUID_LEN <= request.ptr + request.len)
        memcpy(parameter, id, TK_UUID_LEN);
    check_result(
        w, PQexecPrepared(w->database, STATEMENT_NAME, w->parameters, parameters, NULL, NULL, 1),
        PGRES_TUPLES_OK);
}

static void serve_one(const struct worker *w)
{
    char buffer[MAX_REQUEST];
    struct tk_slice request;
    int fd = accept(w->listen_fd, NULL, NULL);

    if (fd < 0)
        fail("accept", strerror(errno));
    if (read_request(fd, buffer, sizeof(buffer), &request)) {
        if (w->database != NULL)
            run_statement(w, request);
        send(fd, w->answer.data, w->answer.len, MSG_NOSIGNAL);
    }
    close(fd);
}

/* Ends with the process that started it. */
static void work(const struct options *options, int listen_fd)
{
    struct worker worker = {.listen_fd = listen_fd};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    append_answer(&worker.answer, options->answer);
    if (options->statement != NULL)
        prepare_statement(&worker, options);
    for (;;)
        serve_one(&worker);
}

/* Beginning ------------------------------------------------------------------------------------ */

static int start_listening(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        fail("--socket", "too long");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, BACKLOG) != 0)
        fail(path, strerror(errno));
    return fd;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"socket", required_argument, NULL, 's'},    {"answer", required_argument, NULL, 'a'},
        {"workers", required_argument, NULL, 'w'},   {"database", required_argument, NULL, 'd'},
        {"statement", required_argument, NULL, 'q'}, {NULL, 0, NULL, 0}};
    struct options options = {.workers = 16};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 's':
            options.socket = optarg;
            break;
        case 'a':
            options.answer = optarg;
            break;
        case 'w':
            options.workers = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'd':
            options.database = optarg;
            break;
        case 'q':
            options.statement = optarg;
            break;
        default:
            fail("options", usage);
        }
    }
    if (options.socket == NULL || options.answer == NULL || optind != argc ||
        options.workers == 0 || options.workers > MAX_WORKERS ||
        (options.database == NULL) != (options.statement == NULL))
        fail("options", usage);
    return options;
}

int main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);
    int listen_fd = start_listening(options.socket);
    char byte;

    for (unsigned i = 0; i < options.workers; i++) {
        pid_t pid = fork();
        if (pid < 0)
            fail("fork", strerror(errno));
        if (pid == 0)
            work(&options, listen_fd);
    }
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    unlink(options.socket);
    return EXIT_SUCCESS;
}
