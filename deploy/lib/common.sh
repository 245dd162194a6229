# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# Small things for deploy/stack: messages, quoting, time, free ports, and processes that can be told
# from strangers who were given the same pid later. Functions that compute one value leave it in a
# variable instead of printing it, because the supervisor calls them five times a second.

say() { printf 'tako: %s\n' "$*"; }

complain() { printf 'tako: %s\n' "$*" >&2; }

fail() {
    complain "$*"
    exit 1
}

# now: milliseconds.
read_clock() {
    local micros=${EPOCHREALTIME/[.,]/}
    now=$((micros / 1000))
}

# Waits without starting a process: nobody ever writes to this pipe.
nap() {
    [[ -n ${nap_fd:-} ]] || exec {nap_fd}<> <(:)
    read -rt "$1" -u "$nap_fd" _ || true
}

shell_quote() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# The same for people to read: quotes only where they are needed.
shell_word() { if [[ $1 == *[!A-Za-z0-9/._-]* ]]; then shell_quote "$1"; else printf '%s' "$1"; fi; }

random_token() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Writes stdin to a file that readers see whole or not at all, and nobody else may read.
write_atomically() {
    local file=$1 temporary
    temporary=$(mktemp "$file.XXXXXX") && cat >"$temporary" && mv -f "$temporary" "$file"
}

# Whether anybody listens on the TCP port, on any address.
port_is_taken() {
    local hex
    printf -v hex '%04X' "$1"
    awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 }
        END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# port: one that nobody listens on, below the range the kernel takes for outgoing connections.
find_free_port() {
    local try
    for ((try = 0; try < 200; try++)); do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 10000))
        [[ " ${given_ports:-} " == *" $port "* ]] && continue
        port_is_taken "$port" || { given_ports+=" $port" && return; }
    done
    fail "found no free TCP port between 20000 and 30000"
}

# stat_fields: /proc/PID/stat from the third field (state) on; fails when there is no such process.
read_stat() {
    local line
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra stat_fields <<<"${line##*) }"
    ((${#stat_fields[@]} > 20))
}

# started: when the process began, in ticks since the machine did. With the pid it names a process.
read_start_time() {
    read_stat "$1" || return 1
    started=${stat_fields[19]}
}

# The pid file of a service is "pid start-time"; pid and started are set when it is still running.
read_pid_file() {
    local recorded
    pid=
    { read -r pid recorded <"$1"; } 2>/dev/null || return 1
    [[ $pid =~ ^[1-9][0-9]*$ ]] && read_start_time "$pid" || return 1
    [[ ${stat_fields[0]} != Z && $started == "$recorded" ]]
}

# members=(): the living processes of the session that process $1 began at time $2, it included.
# They may have outlived it; nobody else can have its number as a session meanwhile.
find_session() {
    local entry candidate
    members=()
    for entry in /proc/[0-9]*; do
        candidate=${entry#/proc/}
        read_stat "$candidate" || continue
        [[ ${stat_fields[3]} == "$1" && ${stat_fields[0]} != Z ]] || continue
        ((stat_fields[19] >= $2)) && members+=("$candidate")
    done
    return 0
}

kill_session() {
    find_session "$1" "$2"
    ((${#members[@]} == 0)) || kill -KILL "${members[@]}" 2>/dev/null
    return 0
}
