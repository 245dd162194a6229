# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2004,SC2034,SC2154
#
# What deploy/stack runs: how each service is started, when it counts as ready, how it is stopped.
# Everything lives below $dir, except the unix sockets: they are in a short private directory below
# /tmp, since a socket's path holds 107 bytes at most and must be in reach of PostgreSQL's user.

services_in_order() {
    local i
    printf 'postgres\nredis\napi\n'
    for ((i = 1; i <= brokers; i++)); do printf 'broker%d\n' "$i"; done
    printf 'lighttpd\n'
}

# Runs a command as service $1, in a session of its own (Ctrl-C in a terminal reaches the supervisor
# only, which then stops things in order), and dying with the supervisor, should that be killed. That
# wish is lost in a change of user, so it comes second.
launch() {
    local name=$1 signal as_user=()
    shift
    stop_signal "$name"
    [[ $name == postgres ]] && as_user=("${as_postgres_user[@]}")
    (
        exec {lock_fd}<&- {nap_fd}<&-
        cd / || exit 1 # PostgreSQL's user may not be allowed to stay where we are
        exec setsid env --default-signal=INT,QUIT,HUP "${as_user[@]}" \
            setpriv --pdeathsig "$signal" "$@"
    ) </dev/null >>"$dir/log/$name.log" 2>&1 &
    pid_of[$name]=$!
}

start_service() {
    case $1 in
    postgres) start_postgres ;;
    redis) start_redis ;;
    api) start_api ;;
    broker*) start_broker "$1" ;;
    lighttpd) launch lighttpd "$lighttpd_program" -D -f "$dir/run/lighttpd.conf" ;;
    esac
}

# PostgreSQL ---------------------------------------------------------------------------------------

find_postgres() {
    local candidate wanted=
    [[ -s $dir/postgres/PG_VERSION ]] && read -r wanted <"$dir/postgres/PG_VERSION"
    postgres_bin=
    while read -r candidate; do
        [[ -z $wanted || $candidate == */"$wanted"/bin/postgres ]] && postgres_bin=${candidate%/*}
    done < <(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V)
    [[ -n $postgres_bin ]] && return
    [[ -z $wanted ]] && fail "PostgreSQL is not installed; deploy/install-packages run installs it"
    fail "the data in $dir/postgres is of PostgreSQL $wanted, which is not installed here"
}

# PostgreSQL refuses to run as root: then it runs as the owner of its data, at first as postgres.
choose_postgres_user() {
    as_postgres_user=()
    ((EUID == 0)) || return 0
    postgres_user=postgres
    id -u postgres >/dev/null 2>&1 || postgres_user=nobody
    [[ -d $dir/postgres ]] && postgres_user=$(stat -c %U "$dir/postgres")
    as_postgres_user=(setpriv --reuid "$postgres_user" --regid "$(id -g "$postgres_user")"
        --init-groups)
}

postgres_directory() {
    if ((EUID == 0)); then
        install -d -o "$postgres_user" -m 700 "$1"
    else
        install -d -m 700 "$1"
    fi
}

# data_directory: a name for directory $1 by way of an open file, because the user that PostgreSQL
# runs as may not be able to get there by path (a checkout below /root). Close data_fd after use.
open_data_directory() {
    exec {data_fd}<"$1" || return 1
    data_directory=/proc/self/fd/$data_fd
}

# Made under another name first, so that an interrupted attempt never passes for a cluster.
create_cluster() {
    [[ -d $dir/postgres ]] && return
    say "creating a database cluster in $dir/postgres"
    rm -rf "$dir/postgres.new"
    postgres_directory "$dir/postgres.new" && open_data_directory "$dir/postgres.new" || return 1
    (cd / && "${as_postgres_user[@]}" "$postgres_bin/initdb" --username=postgres --auth=trust \
        --encoding=UTF8 --locale=C.UTF-8 --no-instructions -D "$data_directory") \
        >>"$dir/log/postgres.log" 2>&1
    local status=$?
    exec {data_fd}<&-
    ((status == 0)) && mv "$dir/postgres.new" "$dir/postgres"
}

# PostgreSQL clears the lock of a dead server itself, unless another program has got its pid by now.
remove_stale_lock() {
    local pid
    { read -r pid <"$dir/postgres/postmaster.pid"; } 2>/dev/null || return 0
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == postgres ]] || rm -f "$dir/postgres/postmaster.pid"
}

start_postgres() {
    remove_stale_lock
    open_data_directory "$dir/postgres" || return 1
    launch postgres "$postgres_bin/postgres" -c listen_addresses= \
        -c "unix_socket_directories=$sockets/postgres" -c unix_socket_permissions=0700 \
        -c max_connections=500 -c log_min_messages=warning -D "$data_directory"
    exec {data_fd}<&-
}

run_sql() { # database, statement
    "$postgres_bin/psql" -XAtq -v ON_ERROR_STOP=1 -h "$sockets/postgres" -U postgres -d "$1" -c "$2" \
        </dev/null 2>>"$dir/log/postgres.log"
}

create_database() {
    [[ $(run_sql postgres "SELECT 1 FROM pg_roles WHERE rolname = 'tako'") == 1 ]] ||
        run_sql postgres 'CREATE ROLE tako LOGIN CREATEDB' || return 1
    [[ $(run_sql postgres "SELECT 1 FROM pg_database WHERE datname = 'tako'") == 1 ]] ||
        run_sql postgres 'CREATE DATABASE tako OWNER tako'
}

# Redis --------------------------------------------------------------------------------------------

# Nothing in Redis outlives its connections and leases, so nothing is saved.
start_redis() {
    launch redis redis-server --port 0 --unixsocket "$sockets/redis.sock" --unixsocketperm 700 \
        --dir "$dir/run" --save '' --appendonly no --daemonize no --logfile ''
}

# tako ---------------------------------------------------------------------------------------------

start_api() {
    rm -f "$sockets/api.sock"
    launch api env -u PORT "$tako_bin/tako-api" --listen "unix:$sockets/api.sock"
}

start_broker() {
    PORT=${port_of[$1]} TAKO_HOST=127.0.0.1 TAKO_WORKERS=$workers TAKO_NODE=$1 \
        launch "$1" "$tako_bin/tako-broker"
}

# lighttpd -----------------------------------------------------------------------------------------

find_lighttpd() {
    lighttpd_program=$(PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin type -P lighttpd) ||
        fail "lighttpd is not installed; deploy/install-packages run installs it"
}

write_lighttpd_conf() {
    local files backends='' i ipv6=''
    files=$(ulimit -n)
    if [[ $files == unlimited ]] || ((files > 200000)); then files=200000; fi
    for ((i = 1; i <= brokers; i++)); do
        backends+="${backends:+, }( \"host\" => \"127.0.0.1\", \"port\" => ${port_of[broker$i]} )"
    done
    # localhost means ::1 to some clients (Node.js), 127.0.0.1 to others.
    [[ -r /proc/net/if_inet6 ]] && grep -q '^0\{31\}1 ' /proc/net/if_inet6 &&
        ipv6="\$SERVER[\"socket\"] == \"[::1]:$web_port\" { }"
    write_atomically "$dir/run/lighttpd.conf" <<END
# Written by deploy/stack at every start. deploy/lighttpd.conf is the one to take as an example.
server.modules        = ( "mod_fastcgi", "mod_proxy" )
server.document-root  = "$dir/run/empty"
server.bind           = "127.0.0.1"
server.port           = $web_port
$ipv6
server.max-fds        = $files
server.max-connections = $((files / 2))
server.max-keep-alive-requests = 1000
server.max-request-size = 16384
server.tag            = "tako"
# Odd bytes in an address are tako-api's to refuse: it knows how to say so.
server.http-parseopts = ( "url-ctrls-reject" => "disable", "url-invalid-utf8-reject" => "disable" )

fastcgi.server = ( "/api/" => ( ( "socket" => "$sockets/api.sock", "check-local" => "disable" ) ) )

\$HTTP["url"] =~ "^/(socket/|healthz\$|readyz\$)" {
    proxy.server = ( "" => ( $backends ) )
    proxy.header = ( "upgrade" => "enable" )
}
\$HTTP["url"] =~ "^/socket/" {
    # The broker decides when a silent client has to go.
    server.max-read-idle  = 65535
    server.max-write-idle = 65535
}
END
}

# Ready? -------------------------------------------------------------------------------------------

is_ready() {
    case $1 in
    postgres) "$postgres_bin/pg_isready" -q -t 2 -h "$sockets/postgres" -U postgres ;;
    redis) [[ $(redis-cli -s "$sockets/redis.sock" ping 2>/dev/null) == PONG ]] ;;
    api) [[ -S $sockets/api.sock ]] ;;
    broker*) answers "http://127.0.0.1:${port_of[$1]}/readyz" ;;
    lighttpd) answers "http://127.0.0.1:$web_port/readyz" ;;
    esac
}

answers() { curl -fsS -o /dev/null --noproxy '*' --max-time 2 "$@" 2>/dev/null; }

api_answers() {
    answers -H "Authorization: Bearer ${HOLOQUEST_API_TOKEN%%,*}" \
        "http://127.0.0.1:$web_port/api/json/leaderboard"
}

# How long a service may take to stop, in milliseconds, before it is killed.
stop_limit() {
    case $1 in
    postgres) limit=20000 ;;
    broker*) limit=$((TAKO_DRAIN_MS + 5000)) ;;
    *) limit=8000 ;;
    esac
}

stop_signal() {
    signal=TERM
    [[ $1 == postgres ]] && signal=INT
    return 0
}
