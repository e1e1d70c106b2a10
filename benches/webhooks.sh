#!/usr/bin/env bash
# Measures how many callbacks a second `tapetrail serve` answers on one core (webhooks.rs), with `wrk` as the sender.
# Starts a broker of its own, unless TAPETRAIL_TEST_BROKERS names one. SECONDS_A_ROUND, CONNECTIONS and ROUNDS size it;
# PROFILE=dev measures a debug build.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v wrk >/dev/null; then
    [[ $(id -u) = 0 ]] && apt-get install -y -qq wrk >/dev/null || {
        echo "webhooks.sh: \`wrk\` is missing; on Debian: apt-get install -y wrk" >&2
        exit 1
    }
fi
cargo bench --quiet --profile "${PROFILE:-bench}" --bench webhooks --no-run
if [[ -z ${TAPETRAIL_TEST_BROKERS:-} ]]; then
    dir=$(mktemp -d)
    trap 'tests/kafka/broker.sh stop "$dir"; rm -rf "$dir"' EXIT
    TAPETRAIL_TEST_BROKERS=$(TAPETRAIL_BROKER_JVM="-Xms512m -Xmx512m -XX:+UseG1GC" tests/kafka/broker.sh start "$dir")
    export TAPETRAIL_TEST_BROKERS
fi
cargo bench --quiet --profile "${PROFILE:-bench}" --bench webhooks
