#!/usr/bin/env bash
# Runs one PostgreSQL server on loopback, for tests, whose log can be read by Debezium. Installs nothing: it takes the
# newest one that Debian's packages have put on the machine; data and logs live in DIR. As root it runs the server as
# another user, as it must.
#
#   postgres.sh start DIR    start; a DIR that was used before keeps its data and its port
#   postgres.sh sql DIR      run the SQL on stdin as one transaction; print what it answers as CSV, without a head
#   postgres.sh stop DIR     end it by its pid (TAPETRAIL_POSTGRES_SIGNAL=KILL: as if the power had failed)
#   postgres.sh status DIR   print its address, or fail
#
# `start` prints the address once the server answers. DIR/postgres.env names port, user, password and database.
#
#   TAPETRAIL_POSTGRES_OWNER  a pid: when that process is gone, the server stops and DIR is removed
set -euo pipefail
# shellcheck source=service.sh source-path=SCRIPTDIR
source "$(dirname "$0")/service.sh"

service=server
log=postgres.log
mark=data
signal=${TAPETRAIL_POSTGRES_SIGNAL:-INT}
# Killed it would leave shared memory behind.
at_once=QUIT
owner=${TAPETRAIL_POSTGRES_OWNER:-}

user=tapetrail
password=tapetrail-test-password

# Prints where the programs are: Debian puts them beside the PATH, by version.
programs() {
    local all=(/usr/lib/postgresql/*/bin/postgres)
    [[ -x ${all[0]} ]] || fail "PostgreSQL is missing; on Debian: apt-get install -y postgresql"
    dirname "$(printf '%s\n' "${all[@]}" | sort -V | tail -1)"
}

# What starts the server's programs: they refuse to run as root.
as_user=()
[[ $(id -u) != 0 ]] || as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)

prepare() {
    local port
    port=$(free_port)
    cat >"$dir/postgres.env" <<ENV
PORT=$port
USER=$user
PASSWORD=$password
DATABASE=postgres
ENV
    mkdir "$dir/$mark"
    echo "$password" >"$dir/password"
    if [[ $(id -u) = 0 ]]; then
        chmod a+x "$dir"
        chown postgres "$dir/$mark"
        "${as_user[@]}" test -x "$dir" || fail "the user postgres may not enter $dir; choose another TMPDIR"
    fi
    "${as_user[@]}" "$bin/initdb" --pgdata "$dir/$mark" --username "$user" --pwfile "$dir/password" \
        --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1 || {
        cat "$dir/initdb.log" >&2
        fail "the database could not be made"
    }
    cat >>"$dir/$mark/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
wal_level = logical
# It need not outlive the machine.
fsync = off
CONF
}

is_ready() {
    "$bin/pg_isready" --quiet --host 127.0.0.1 --port "$(fact postgres.env PORT)"
}

start() {
    bin=$(programs)
    mkdir -p "$dir"
    if is_running; then
        status
        return
    fi
    [[ -f $dir/postgres.env ]] || prepare
    launch "${as_user[@]}" "$bin/postgres" -D "$dir/$mark"
    status
}

sql() {
    is_running || fail "no server runs in $dir"
    PGPASSWORD=$password psql --host 127.0.0.1 --port "$(fact postgres.env PORT)" --username "$user" --dbname postgres \
        --no-psqlrc --quiet --single-transaction --set ON_ERROR_STOP=1 --csv --tuples-only --file -
}

status() {
    is_running || fail "no server runs in $dir"
    echo "127.0.0.1:$(fact postgres.env PORT)"
}

take "start DIR | sql DIR | stop DIR | status DIR" "$@"
