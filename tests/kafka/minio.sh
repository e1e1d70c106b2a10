#!/usr/bin/env bash
# Runs one MinIO server (S3) on loopback, for tests, which tells Kafka of every object that comes or goes. Installs
# nothing: the server is built from its Go module into a cache outside the checkout, with the Go that is there or, where
# none is, one from the module proxy; data and logs live in DIR.
#
#   minio.sh fetch             get the server
#   minio.sh start DIR         start; a DIR that was used before keeps its data and its port
#   minio.sh bucket DIR NAME   make a bucket
#   minio.sh notify DIR NAME   have Kafka told of every object that comes to a bucket or goes
#   minio.sh shelve DIR NAME   let anybody list a bucket, but read nothing of it
#   minio.sh stop DIR          end it by its pid (TAPETRAIL_MINIO_SIGNAL=KILL: as if the power had failed)
#   minio.sh status DIR        print its endpoint, or fail
#
# `start` prints the endpoint once the server answers. DIR/minio.env names user and password.
#
#   TAPETRAIL_CACHE           where the server is kept (~/.cache/tapetrail)
#   TAPETRAIL_MINIO_VERSION   which version of the Go module github.com/minio/minio
#   TAPETRAIL_MINIO_BROKERS   brokers that notifications go to; none without it
#   TAPETRAIL_MINIO_TOPIC     the topic, which must exist (recording.storage-events)
#   TAPETRAIL_MINIO_OWNER     a pid: when that process is gone, the server stops and DIR is removed
set -euo pipefail

version=${TAPETRAIL_MINIO_VERSION:-v0.0.0-20260212201848-7aac2a2c5b7c}
cache=${TAPETRAIL_CACHE:-$HOME/.cache/tapetrail}
program=$cache/minio-$version/minio
user=tapetrail
password=tapetrail-test-password

fail() {
    echo "minio.sh: $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "\`$1\` is missing; on Debian: apt-get install -y $1"
}

# Prints the Go to build with: the machine's, if it can get the version that a module asks for by itself, as those from
# 1.21 on can; else one from the module proxy, into $1.
go_program() {
    local least=go1.21 has
    has=$(go version 2>/dev/null | cut -d' ' -f3) || has=
    if [[ -n $has && $(printf '%s\n' "$least" "$has" | sort -V | head -1) = "$least" ]]; then
        command -v go
        return
    fi
    [[ $(uname -sm) = "Linux x86_64" ]] || fail "Go is missing, or older than 1.21; get it from https://go.dev/dl/"
    need curl
    need unzip
    local toolchain=v0.0.1-go1.24.8.linux-amd64
    local hash=6e1961728670e727d7dfa4bf03474b4d797fa81a269263cb77b30b2f6323f062
    curl -fsSL -o "$1/go.zip" "https://proxy.golang.org/golang.org/toolchain/@v/$toolchain.zip" >&2 ||
        fail "the Go module proxy does not give golang.org/toolchain@$toolchain"
    sha256sum --quiet --check <<<"$hash  $1/go.zip" >&2 || fail "golang.org/toolchain@$toolchain is not what it was"
    unzip -q "$1/go.zip" -d "$1"
    local root=$1/golang.org/toolchain@$toolchain
    # The modules' archives keep no permissions.
    chmod +x "$root"/bin/* "$root"/pkg/tool/*/*
    echo "$root/bin/go"
}

fetch() {
    [[ -x $program ]] && return
    local work go
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    mkdir "$work/go"
    go=$(go_program "$work/go")
    echo "minio.sh: building MinIO $version into ${program%/*}, which takes minutes" >&2
    GOBIN=$work CGO_ENABLED=0 "$go" install -trimpath -ldflags "-s -w" "github.com/minio/minio@$version" >&2 ||
        fail "Go could not build github.com/minio/minio@$version; its answer is above"
    rm -rf "$work/go"
    # Another process may have been quicker; its copy is as good.
    mv -T "$work" "${program%/*}" 2>/dev/null || rm -rf "$work"
}

# Prints a port that nobody listens on. Below the range that outgoing connections take theirs from.
free_port() {
    local port
    while true; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

prepare() {
    local address
    address=127.0.0.1:$(free_port)
    cat >"$dir/minio.env" <<ENV
ENDPOINT=http://$address
ADDRESS=$address
USER=$user
PASSWORD=$password
BROKERS=${TAPETRAIL_MINIO_BROKERS:-}
TOPIC=${TAPETRAIL_MINIO_TOPIC:-recording.storage-events}
ENV
}

fact() {
    sed -n "s/^$1=//p" "$dir/minio.env"
}

is_running() {
    [[ -f $dir/pid ]] && tr '\0' ' ' <"/proc/$(<"$dir/pid")/cmdline" 2>/dev/null | grep -qF "$dir/data"
}

start() {
    need curl
    fetch
    mkdir -p "$dir"
    if is_running; then
        status
        return
    fi
    [[ -f $dir/minio.env ]] || prepare
    local settings=(MINIO_ROOT_USER=$user MINIO_ROOT_PASSWORD=$password MINIO_BROWSER=off MINIO_UPDATE=off)
    if [[ -n $(fact BROKERS) ]]; then
        settings+=(
            MINIO_NOTIFY_KAFKA_ENABLE_LAKE=on
            "MINIO_NOTIFY_KAFKA_BROKERS_LAKE=$(fact BROKERS)"
            "MINIO_NOTIFY_KAFKA_TOPIC_LAKE=$(fact TOPIC)"
            # Kafka 4 no longer speaks what MinIO's client speaks unless it is told a version.
            MINIO_NOTIFY_KAFKA_VERSION_LAKE=2.8.0
            # Events wait here while the broker is away.
            "MINIO_NOTIFY_KAFKA_QUEUE_DIR_LAKE=$dir/events"
        )
    fi
    setsid env "${settings[@]}" "$program" server "$dir/data" --address "$(fact ADDRESS)" \
        >>"$dir/minio.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    local waited=0
    until curl -fs -o /dev/null "$(fact ENDPOINT)/minio/health/cluster"; do
        kill -0 "$(<"$dir/pid")" 2>/dev/null || {
            tail -20 "$dir/minio.log" >&2
            fail "the server ended while starting; all it said is in $dir/minio.log"
        }
        ((waited++ < 600)) || fail "the server did not start in a minute; see $dir/minio.log"
        sleep 0.1
    done
    if [[ -n ${TAPETRAIL_MINIO_OWNER:-} && ! -f $dir/watched ]]; then
        touch "$dir/watched"
        setsid "$0" watch "$dir" >/dev/null 2>&1 </dev/null &
    fi
    status
}

# Sends a signed request; an answer that is no success is printed and fails.
request() {
    local path=$1 answer
    shift
    answer=$(curl -sS --fail-with-body --aws-sigv4 aws:amz:us-east-1:s3 --user "$user:$password" \
        --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@" "$(fact ENDPOINT)/$path" 2>&1) || fail "$path: $answer"
}

bucket() {
    is_running || fail "no server runs in $dir"
    request "$name" -X PUT
}

notify() {
    is_running || fail "no server runs in $dir"
    [[ -n $(fact BROKERS) ]] || fail "the server in $dir was started without TAPETRAIL_MINIO_BROKERS"
    request "$name?notification=" -X PUT --data-binary @- <<XML
<NotificationConfiguration>
  <QueueConfiguration>
    <Queue>arn:minio:sqs::LAKE:kafka</Queue>
    <Event>s3:ObjectCreated:*</Event>
    <Event>s3:ObjectRemoved:*</Event>
  </QueueConfiguration>
</NotificationConfiguration>
XML
}

shelve() {
    is_running || fail "no server runs in $dir"
    request "$name?policy=" -X PUT --data-binary @- <<JSON
{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::$name"]}]}
JSON
}

# Ends the server when its owner has ended, by whatever cause.
watch() {
    while kill -0 "$TAPETRAIL_MINIO_OWNER" 2>/dev/null; do
        sleep 1
    done
    TAPETRAIL_MINIO_SIGNAL=KILL stop
    rm -rf "$dir"
}

stop() {
    local waited=0
    if is_running; then
        kill "-${TAPETRAIL_MINIO_SIGNAL:-TERM}" "$(<"$dir/pid")"
        while is_running; do
            ((waited++ < 300)) || kill -KILL "$(<"$dir/pid")"
            sleep 0.1
        done
    fi
    rm -f "$dir/pid"
}

status() {
    is_running || fail "no server runs in $dir"
    fact ENDPOINT
}

usage="fetch | start DIR | bucket DIR NAME | notify DIR NAME | shelve DIR NAME | stop DIR | status DIR"
command=${1:-}
dir=${2:-}
name=${3:-}
case $command in
fetch) fetch ;;
start | bucket | notify | shelve | stop | status | watch)
    [[ -n $dir ]] || fail "usage: minio.sh $usage"
    [[ ! $command =~ ^(bucket|notify|shelve)$ || -n $name ]] || fail "usage: minio.sh $command DIR NAME"
    dir=$(realpath -m "$dir")
    "$command"
    ;;
*) fail "usage: minio.sh $usage" ;;
esac
