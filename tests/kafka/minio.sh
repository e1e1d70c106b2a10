#!/usr/bin/env bash
# Runs one MinIO server (S3) on loopback, for tests, which tells Kafka of every object that comes or goes. Installs
# nothing: the server is built from its Go module into a cache outside the checkout; data and logs live in DIR.
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
# shellcheck source=service.sh source-path=SCRIPTDIR
source "$(dirname "$0")/service.sh"

service=server
log=minio.log
mark=data
signal=${TAPETRAIL_MINIO_SIGNAL:-TERM}
owner=${TAPETRAIL_MINIO_OWNER:-}

version=${TAPETRAIL_MINIO_VERSION:-v0.0.0-20260212201848-7aac2a2c5b7c}
program=$cache/minio-$version/minio
user=tapetrail
password=tapetrail-test-password

fetch() {
    [[ -x $program ]] || keep "${program%/*}" build
}

# Builds the server into a directory; leaves nothing else behind.
build() {
    local go
    export GOPATH=$1/go GOCACHE=$1/go/build GOFLAGS=-modcacherw GOTOOLCHAIN=auto
    go=$(go_program)
    echo "$me: building MinIO $version into ${program%/*}, which takes minutes" >&2
    GOBIN=$1 CGO_ENABLED=0 "$go" install -trimpath -ldflags "-s -w" "github.com/minio/minio@$version" >&2 ||
        fail "Go could not build github.com/minio/minio@$version; its answer is above"
    rm -rf "$1/go"
}

# Prints the Go to build with: the machine's, if it gets by itself the version that a module asks for, as those from 1.21
# on do; else it is asked for the module that they would get.
go_program() {
    need go golang-go
    local least=go1.21 has
    has=$(go version | cut -d' ' -f3)
    if [[ $(printf '%s\n' "$least" "$has" | sort -V | head -1) = "$least" ]]; then
        command -v go
        return
    fi
    local toolchain root
    toolchain=golang.org/toolchain@v0.0.1-go1.24.8.$(go env GOOS)-$(go env GOARCH)
    go mod download "$toolchain" >&2 || fail "$has is older than $least and could not get $toolchain; its answer is above"
    root=$(go env GOMODCACHE)/$toolchain
    # Archives of modules keep no permissions, and hold no second go.mod under its name.
    chmod +x "$root"/bin/* "$root"/pkg/tool/*/*
    mv "$root/src/_go.mod" "$root/src/go.mod"
    echo "$root/bin/go"
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

is_ready() {
    curl -fs -o /dev/null "$(fact minio.env ENDPOINT)/minio/health/cluster"
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
    if [[ -n $(fact minio.env BROKERS) ]]; then
        settings+=(
            MINIO_NOTIFY_KAFKA_ENABLE_LAKE=on
            "MINIO_NOTIFY_KAFKA_BROKERS_LAKE=$(fact minio.env BROKERS)"
            "MINIO_NOTIFY_KAFKA_TOPIC_LAKE=$(fact minio.env TOPIC)"
            # Kafka 4 no longer speaks what MinIO's client speaks unless it is told a version.
            MINIO_NOTIFY_KAFKA_VERSION_LAKE=2.8.0
            # Events wait here while the broker is away.
            "MINIO_NOTIFY_KAFKA_QUEUE_DIR_LAKE=$dir/events"
        )
    fi
    launch env "${settings[@]}" "$program" server "$dir/$mark" --address "$(fact minio.env ADDRESS)"
    status
}

# Sends a signed request; an answer that is no success is printed and fails.
request() {
    local path=$1 answer
    shift
    answer=$(curl -sS --fail-with-body --aws-sigv4 aws:amz:us-east-1:s3 --user "$user:$password" \
        --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@" "$(fact minio.env ENDPOINT)/$path" 2>&1) || fail "$path: $answer"
}

bucket() {
    is_running || fail "no server runs in $dir"
    request "$name" -X PUT
}

notify() {
    is_running || fail "no server runs in $dir"
    [[ -n $(fact minio.env BROKERS) ]] || fail "the server in $dir was started without TAPETRAIL_MINIO_BROKERS"
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

status() {
    is_running || fail "no server runs in $dir"
    fact minio.env ENDPOINT
}

take "fetch | start DIR | bucket DIR NAME | notify DIR NAME | shelve DIR NAME | stop DIR | status DIR" "$@"
