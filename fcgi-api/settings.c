/* SPDX-License-Identifier: MIT */
/* The settings of tako-api, one row each; see common/tk_settings.h for what is made of them. */
#include "fcgi-api/settings.h"

#include <stdlib.h>

#define OFFSET(member) offsetof(struct api_settings, member)

#define ROW_INT(env, member, def, low, high, text)                                                 \
    {                                                                                              \
        env, TK_SETTING_INT, 0, OFFSET(member), def, low, high, text                               \
    }
#define ROW_STRING(env, member, def, text)                                                         \
    {                                                                                              \
        env, TK_SETTING_STRING, 0, OFFSET(member), def, 0, 0, text                                 \
    }

static const struct tk_setting rows[] = {
    {"HOLOQUEST_API_TOKEN", TK_SETTING_LIST, TK_SETTING_SECRET | TK_SETTING_REQUIRED,
     OFFSET(tokens), NULL, 0, 0,
     "Bearer token that every API request must carry. Several, comma separated, are all accepted, "
     "for changing the token without an outage. It ships inside the browser bundle, so it is an "
     "abuse brake and no secret among users."},
    {"TAKO_ADMIN_TOKEN", TK_SETTING_STRING, TK_SETTING_SECRET, OFFSET(admin_token), NULL, 0, 0,
     "Bearer token for what must not be open to every client, such as the list of all users. "
     "Unset: nobody may."},
    TK_SETTING_ROW_DATABASE_URL(struct api_settings),
    ROW_INT("TAKO_DATABASE_TIMEOUT_MS", database_timeout_ms, "5000", 100, 600000,
            "Longest time one database call may take, connecting included; past it the answer is "
            "503."),
    TK_SETTING_ROW_REDIS_URL(struct api_settings),
    TK_SETTING_ROW_LOG_LEVEL(struct api_settings),
    TK_SETTING_ROW_DEV(struct api_settings),
    ROW_INT("POOL_SIZE", pool_size, "4", 1, 256,
            "Worker processes, each with one database connection: how many requests are served at "
            "the same time."),
    ROW_STRING("TAKO_API_LISTEN", listen, NULL,
               "Where tako-api listens for FastCGI, as unix:/run/tako/api.sock or 127.0.0.1:9000. "
               "Unset: the socket it is started with (spawn-fcgi, mod_fcgid), or plain CGI."),
    ROW_STRING("TAKO_API_SOCKET_MODE", socket_mode, "0660",
               "Permissions of the unix socket, octal; the web server must be able to write to "
               "it."),
    ROW_INT("TAKO_REQUEST_TIMEOUT_MS", request_timeout_ms, "30000", 1000, 600000,
            "Longest time for one request as a whole, reading it and writing the answer included; "
            "past it the web server's connection is closed."),
    ROW_STRING("TAKO_PUBLIC_URL", public_url, NULL,
               "Scheme and host that clients see, such as https://api.example, put in front of the "
               "links in answers. Unset: links are paths."),
    {"TAKO_CORS_ORIGINS", TK_SETTING_LIST, 0, OFFSET(cors_origins), "*", 0, 0,
     "Origins whose pages may use the API, comma separated, as https://app.example or "
     "https://*.netlify.app; * for all."},
    ROW_INT("TAKO_NICKNAME_MAX", nickname_max, "24", 3, 255,
            "Longest nickname, in characters as people count them."),
    ROW_INT("TAKO_STAMPS_MAX", stamps_max, "9007199254740991", 0, INT64_C(9007199254740991),
            "Highest value of stamps_collected; set it to the number of stamps of the event."),
    ROW_INT("TAKO_BODY_MAX", body_max, "65536", 1024, 16777216,
            "Largest request body in bytes; a larger one gets 413."),
    ROW_INT("TAKO_LEADERBOARD_MAX", leaderboard_max, "1000", 1, 100000,
            "Most rows the leaderboard shows."),
    ROW_STRING("TAKO_PROFANITY_FILE", profanity_file, NULL,
               "Words that nicknames must not contain, one a line; none switches the check off. "
               "Unset: the list that came with tako-api."),
    ROW_INT("TAKO_RATE_POST", rate_post, "60", 0, 1000000,
            "Registrations a minute from one address, all at once if need be; past them the answer "
            "is 429. 0 for no limit: behind one venue's Wi-Fi everybody has one address."),
    ROW_INT("TAKO_RATE_OTHER", rate_other, "600", 0, 1000000, "The same for all other requests."),
    {"TAKO_TRUSTED_PROXIES", TK_SETTING_LIST, 0, OFFSET(trusted_proxies), NULL, 0, 0,
     "Addresses and networks, such as 10.0.0.0/8, of proxies in front of the web server, comma "
     "separated: from them the client's address is taken from X-Forwarded-For."},
    {"TAKO_SERVER_TIMING", TK_SETTING_BOOL, 0, OFFSET(server_timing), "0", 0, 0,
     "1 adds a Server-Timing header to answers: how long they took."},
};

const struct tk_settings_table api_settings_table = {
    .program = "tako-api",
    .rows = rows,
    .count = TK_ARRAY_LEN(rows),
};

enum tk_err api_socket_mode(const char *text, mode_t *mode)
{
    size_t len = strlen(text);

    if (len == 0 || len > 4 || strspn(text, "01234567") != len)
        return TK_EINVAL;
    unsigned long value = strtoul(text, NULL, 8);
    if (value > 0777)
        return TK_EINVAL;
    *mode = (mode_t)value;
    return TK_OK;
}
