#!/usr/bin/env bash
# Measures how many callbacks a second `tapetrail serve` answers on one core (webhooks.rs), with `wrk` as the sender.
# Starts a broker of its own, unless TAPETRAIL_TEST_BROKERS names one. SECONDS_A_ROUND, CONNECTIONS and ROUNDS size it;
# TAPETRAIL names a program to measure in the place of one that is built for it.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v wrk >/dev/null; then
    [[ $(id -u) = 0 ]] && apt-get install -y -qq wrk >/dev/null || {
        echo "webhooks.sh: \`wrk\` is missing; on Debian: apt-get install -y wrk" >&2
        exit 1
    }
fi
# What only sends and counts need not be fast.
profile=bench
[[ -z ${TAPETRAIL:-} ]] || profile=dev
cargo bench --quiet --locked --profile "$profile" --bench webhooks --no-run
if [[ -z ${TAPETRAIL_TEST_BROKERS:-} ]]; then
    dir=$(mktemp -d)
    trap 'tests/kafka/broker.sh stop "$dir"; rm -rf "$dir"' EXIT
    TAPETRAIL_TEST_BROKERS=$(TAPETRAIL_BROKER_JVM="-Xms512m -Xmx512m -XX:+UseG1GC" tests/kafka/broker.sh start "$dir")
    export TAPETRAIL_TEST_BROKERS
fi
cargo bench --quiet --locked --profile "$profile" --bench webhooks
