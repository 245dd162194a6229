/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_base.h"

/*
 * DATABASE_URL as libpq wants it: postgres:// and postgresql:// unchanged, ecto:// (the original's)
 * with its scheme replaced. *conninfo is the caller's to free. TK_EINVAL for other schemes and for
 * what libpq does not understand; *why (constant text, without a subject: "must begin with ...")
 * says what would be right.
 */
enum tk_err tk_database_url(const char *url, char **conninfo, const char **why) TK_MUST_CHECK;

/* Where Redis is. Strings are owned; unix_path is NULL for TCP, user and password when not given.
 */
struct tk_redis_address {
    char *host;
    int port;
    char *unix_path;
    char *user;
    char *password;
    int db;
};

/*
 * redis://[user[:password]@]host[:port][/db] and unix://[user[:password]@]/path[?db=n], each part
 * percent-decoded; a password alone is :password@, an IPv6 host stands in brackets. rediss:// is
 * refused (the hiredis of Debian 12 has no TLS) with *why (as above) saying what to do instead. On
 * success the caller owns *address.
 */
enum tk_err tk_redis_url(const char *url, struct tk_redis_address *address,
                         const char **why) TK_MUST_CHECK;
void tk_redis_address_fini(struct tk_redis_address *address);
