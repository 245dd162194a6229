#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Starts tako-api for web servers that start programs themselves: plain CGI, mod_fcgid, lighttpd's
# bin-path. They hand on little of their environment, so the settings are read here, from the file that
# systemd reads otherwise: one NAME=value a line, no quotes. What the web server has set goes before it.
settings=${TAKO_ENV_FILE:-/etc/tako/tako.env}

while IFS= read -r line; do
    name=${line%%=*}
    case $name in
    "$line" | '' | *[!A-Za-z0-9_]* | [0-9]*) continue ;; # a comment, an empty line
    esac
    eval "[ \"\${$name+set}\" ]" || export "$line"
done <"$settings" || exit 1

unset TAKO_API_LISTEN # the web server has the socket
exec "${TAKO_API:-/usr/local/bin/tako-api}"
