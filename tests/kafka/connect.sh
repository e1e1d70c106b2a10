#!/usr/bin/env bash
# Runs one Kafka Connect worker on loopback, for tests, with Debezium's connector for PostgreSQL. Installs nothing: the
# jars come from Maven Central into a cache outside the checkout; what the worker knows and logs is in DIR.
#
#   connect.sh fetch        get the jars
#   connect.sh start DIR    start, with the connector that DIR/connector.properties describes; returns when it runs
#   connect.sh stop DIR     end it by its pid (TAPETRAIL_CONNECT_SIGNAL=KILL: it has no time to note how far it read)
#   connect.sh status DIR   print the address of its REST API, or fail
#
#   TAPETRAIL_CACHE             where the jars are kept (~/.cache/tapetrail)
#   TAPETRAIL_KAFKA_VERSION     which Kafka Connect (4.2.0)
#   TAPETRAIL_DEBEZIUM_VERSION  which Debezium (3.3.2.Final)
#   TAPETRAIL_CONNECT_BROKERS   brokers that it sends to, at the first start of a DIR
#   TAPETRAIL_CONNECT_OWNER     a pid: when that process is gone, the worker stops and DIR is removed
set -euo pipefail
# shellcheck source=service.sh source-path=SCRIPTDIR
source "$(dirname "$0")/service.sh"

service=worker
log=connect.log
mark=worker.properties
signal=${TAPETRAIL_CONNECT_SIGNAL:-TERM}
owner=${TAPETRAIL_CONNECT_OWNER:-}

kafka=${TAPETRAIL_KAFKA_VERSION:-4.2.0}
debezium=${TAPETRAIL_DEBEZIUM_VERSION:-3.3.2.Final}
jars=$cache/connect-$kafka-debezium-$debezium

fetch() {
    [[ -d $jars ]] || keep "$jars" fill
}

fill() {
    get_jars "$1" "org.apache.kafka:connect-runtime:$kafka" "io.debezium:debezium-connector-postgres:$debezium" \
        org.slf4j:slf4j-simple:1.7.36
}

prepare() {
    [[ -n ${TAPETRAIL_CONNECT_BROKERS:-} ]] || fail "TAPETRAIL_CONNECT_BROKERS names no brokers"
    cat >"$dir/$mark" <<PROPERTIES
bootstrap.servers=$TAPETRAIL_CONNECT_BROKERS
listeners=http://127.0.0.1:$(free_port)
offset.storage.file.filename=$dir/offsets
# Connectors say themselves how keys and values are written.
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
# Everything is on the class path, and says of itself what it is.
plugin.discovery=service_load
PROPERTIES
}

# The connector and its task run, not the worker alone.
is_ready() {
    local connector
    connector=$(fact connector.properties name)
    [[ $(curl -fs "$(fact $mark listeners)/connectors/$connector/status") = *'"tasks":[{"id":0,"state":"RUNNING"'* ]]
}

start() {
    need java openjdk-17-jre-headless
    need curl
    [[ -f $dir/connector.properties ]] || fail "$dir/connector.properties is missing: it describes the connector"
    fetch
    if is_running; then
        status
        return
    fi
    [[ -f $dir/$mark ]] || prepare
    launch java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.showDateTime=true \
        -cp "$jars/libs/*" org.apache.kafka.connect.cli.ConnectStandalone "$dir/$mark" "$dir/connector.properties"
    status
}

status() {
    is_running || fail "no worker runs in $dir"
    fact $mark listeners
}

take "fetch | start DIR | stop DIR | status DIR" "$@"
