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

version=${TAPETRAIL_KAFKA_VERSION:-4.2.0}
cache=${TAPETRAIL_CACHE:-$HOME/.cache/tapetrail}
jars=$cache/kafka-$version
jvm=${TAPETRAIL_BROKER_JVM:--Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}
user=tapetrail
password=tapetrail-test-password

fail() {
    echo "broker.sh: $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "\`$1\` is missing; on Debian: apt-get install -y openjdk-17-jre-headless maven"
}

fetch() {
    [[ -f $jars/complete ]] && return
    need java
    need mvn
    local work
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    cat >"$work/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>tapetrail</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
    echo "broker.sh: fetching Apache Kafka $version from Maven Central into $jars" >&2
    mvn -q -B -f "$work/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$work/libs" >&2 ||
        fail "Maven could not get org.apache.kafka:kafka_2.13:$version; its answer is above"
    touch "$work/complete"
    # Another process may have been quicker; its copy is as good.
    mv -T "$work" "$jars" 2>/dev/null || rm -rf "$work"
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

is_running() {
    [[ -f $dir/pid ]] && tr '\0' ' ' <"/proc/$(<"$dir/pid")/cmdline" 2>/dev/null | grep -qF "$dir/server.properties"
}

start() {
    need java
    fetch
    mkdir -p "$dir"
    if is_running; then
        status
        return
    fi
    [[ -f $dir/server.properties ]] || prepare
    # Emptied here and not by the child, which could be late: the last start's log says `started`, too.
    : >"$dir/broker.log"
    # shellcheck disable=SC2086 # The options of the JVM are words.
    setsid java $jvm -Dorg.slf4j.simpleLogger.showDateTime=true -cp "$jars/libs/*" \
        kafka.Kafka "$dir/server.properties" >>"$dir/broker.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    local waited=0
    until grep -q 'Kafka Server started' "$dir/broker.log"; do
        kill -0 "$(<"$dir/pid")" 2>/dev/null || {
            tail -20 "$dir/broker.log" >&2
            fail "the broker ended while starting; all it said is in $dir/broker.log"
        }
        ((waited++ < 1200)) || fail "the broker did not start in 2 minutes; see $dir/broker.log"
        sleep 0.1
    done
    if [[ -n ${TAPETRAIL_BROKER_OWNER:-} && ! -f $dir/watched ]]; then
        touch "$dir/watched"
        setsid "$0" watch "$dir" >/dev/null 2>&1 </dev/null &
    fi
    status
}

# Ends the broker when its owner has ended, by whatever cause.
watch() {
    while kill -0 "$TAPETRAIL_BROKER_OWNER" 2>/dev/null; do
        sleep 1
    done
    TAPETRAIL_BROKER_SIGNAL=KILL stop
    rm -rf "$dir"
}

stop() {
    local waited=0
    if is_running; then
        kill "-${TAPETRAIL_BROKER_SIGNAL:-TERM}" "$(<"$dir/pid")"
        while is_running; do
            ((waited++ < 300)) || kill -KILL "$(<"$dir/pid")"
            sleep 0.1
        done
    fi
    rm -f "$dir/pid"
}

status() {
    is_running || fail "no broker runs in $dir"
    sed -n 's/^BROKERS=//p' "$dir/broker.env"
}

command=${1:-}
dir=${2:-}
case $command in
fetch) fetch ;;
start | stop | status | watch)
    [[ -n $dir ]] || fail "usage: broker.sh $command DIR"
    dir=$(realpath -m "$dir")
    "$command"
    ;;
*) fail "usage: broker.sh fetch | start DIR | stop DIR | status DIR" ;;
esac
