#!/usr/bin/env bash
# Runs one Apache Kafka broker (KRaft, one node) on loopback, for tests and benchmarks. Installs nothing:
# the jars come from Maven Central into a cache outside the checkout, data and logs live in DIR.
#
#   broker.sh fetch        get the jars
#   broker.sh start DIR    start; a DIR that was used before keeps its data and its ports
#   broker.sh stop DIR     end it by its pid (TAPETRAIL_BROKER_SIGNAL=KILL: as if the power had failed)
#   broker.sh status DIR   print its address, or fail
#
# `start` prints the address of the plain listener once the broker answers. DIR/broker.env names the rest:
# the SASL_SSL listener, its user and password, and the certificate to trust.
#
#   TAPETRAIL_CACHE          where the jars are kept (~/.cache/tapetrail)
#   TAPETRAIL_KAFKA_VERSION  which Kafka (4.2.0)
#   TAPETRAIL_BROKER_JVM     options of the JVM; the default is a small one that starts quickly
#   TAPETRAIL_BROKER_OWNER   a pid: when that process is gone, the broker stops and DIR is removed
set -euo pipefail
# shellcheck source=service.sh source-path=SCRIPTDIR
source "$(dirname "$0")/service.sh"

service=broker
log=broker.log
mark=server.properties
signal=${TAPETRAIL_BROKER_SIGNAL:-TERM}
owner=${TAPETRAIL_BROKER_OWNER:-}

version=${TAPETRAIL_KAFKA_VERSION:-4.2.0}
jars=$cache/kafka-$version
jvm=${TAPETRAIL_BROKER_JVM:--Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}
user=tapetrail
password=tapetrail-test-password

fetch() {
    [[ -d $jars ]] || keep "$jars" fill
}

fill() {
    get_jars "$1" "org.apache.kafka:kafka_2.13:$version" org.slf4j:slf4j-simple:1.7.36
}

# Writes the settings, the certificate and the storage of a new broker into $dir.
prepare() {
    local plain sasl controller
    plain=$(free_port)
    sasl=$(free_port)
    controller=$(free_port)
    keytool -genkeypair -alias broker -keyalg RSA -keysize 2048 -validity 3650 -dname "CN=localhost" \
        -ext "SAN=dns:localhost,ip:127.0.0.1" -storetype PKCS12 -keystore "$dir/broker.p12" \
        -storepass "$password" 2>/dev/null
    keytool -exportcert -rfc -alias broker -keystore "$dir/broker.p12" -storepass "$password" \
        >"$dir/ca.pem" 2>/dev/null
    cat >"$dir/broker.env" <<ENV
BROKERS=127.0.0.1:$plain
SASL_BROKERS=127.0.0.1:$sasl
SASL_USER=$user
SASL_PASSWORD=$password
SSL_CA=$dir/ca.pem
ENV
    cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$plain,SASL_SSL://127.0.0.1:$sasl,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$plain,SASL_SSL://127.0.0.1:$sasl
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$user="$password";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location=$dir/broker.p12
ssl.keystore.password=$password
log.dirs=$dir/data

# One node holds every internal topic.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A topic exists when a test made it, with the partitions that the test asked for.
auto.create.topics.enable=false
message.max.bytes=16777216
# Groups form at once, and a test may choose a short session.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Retention and compaction act within a second, where a topic asks for them.
log.initial.task.delay.ms=500
log.retention.check.interval.ms=500
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=4194304
PROPERTIES
    java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -cp "$jars/libs/*" kafka.tools.StorageTool format --config "$dir/server.properties" \
        --cluster-id "$(java_uuid)" \
        --add-scram "SCRAM-SHA-512=[name=$user,password=$password]" >"$dir/format.log" 2>&1 || {
        cat "$dir/format.log" >&2
        fail "the storage could not be formatted"
    }
}

# Prints 16 random bytes the way Kafka writes ids: base64, safe for URLs, unpadded.
java_uuid() {
    head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '='
}

is_ready() {
    grep -q 'Kafka Server started' "$dir/$log"
}

start() {
    need java openjdk-17-jre-headless
    fetch
    mkdir -p "$dir"
    if is_running; then
        status
        return
    fi
    [[ -f $dir/$mark ]] || prepare
    # The last start's log says `started`, too.
    : >"$dir/$log"
    # shellcheck disable=SC2086 # The options of the JVM are words.
    launch java $jvm -Dorg.slf4j.simpleLogger.showDateTime=true -cp "$jars/libs/*" kafka.Kafka "$dir/$mark"
    status
}

status() {
    is_running || fail "no broker runs in $dir"
    fact broker.env BROKERS
}

take "fetch | start DIR | stop DIR | status DIR" "$@"
