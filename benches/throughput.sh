#!/usr/bin/env bash
# Measures how fast `tapetrail consume` drains a topic, beside `kcat -C -e` on the same one (throughput.rs).
# Starts a broker of its own, unless TAPETRAIL_TEST_BROKERS names one. MESSAGES, PARTITIONS and ROUNDS size it.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v kcat >/dev/null && [[ $(id -u) = 0 ]]; then
    apt-get install -y -qq kcat >/dev/null || echo "kcat could not be installed: no ratio"
fi
cargo build --quiet --profile bench --bin tapetrail
if [[ -z ${TAPETRAIL_TEST_BROKERS:-} ]]; then
    dir=$(mktemp -d)
    trap 'tests/kafka/broker.sh stop "$dir"; rm -rf "$dir"' EXIT
    # A JVM as one runs it in production: what is measured is not its start.
    TAPETRAIL_TEST_BROKERS=$(TAPETRAIL_BROKER_JVM="-Xms1g -Xmx1g -XX:+UseG1GC" tests/kafka/broker.sh start "$dir")
    export TAPETRAIL_TEST_BROKERS
fi
cargo bench --quiet --bench throughput
