#!/usr/bin/env bash
# Measures the detections over a generated fleet: each step of the whole catalogue, the whole, `investigate --sid`, `report`,
# and the most memory that each held; then whether what was found is what was planted.
#
#   benches/catalogue.sh                   a fleet of about 10 million events: 10 minutes and 6 GB of disk to make it
#   SESSIONS=16300 benches/catalogue.sh    of a million
#   LAKE=/var/lib/tapetrail/lake benches/catalogue.sh
#   ROUNDS=1 benches/catalogue.sh          each command once instead of three times
#   EACH=1 benches/catalogue.sh            each detection alone, too
#
# SLICES is what `generate --slices` takes, DIR where the fleet is made and stays; a fleet that is there is used again. Without a
# LAKE the fleet's truth is at hand, and the detections are scored. DuckDB beside it: benches/beside_duckdb.py.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
tapetrail=${TAPETRAIL:-}
if [[ -z $tapetrail ]]; then
    cargo build --quiet --release --locked --bin tapetrail --manifest-path "$here/Cargo.toml"
    tapetrail=${CARGO_TARGET_DIR:-$here/target}/release/tapetrail
fi
sessions=${SESSIONS:-163000} slices=${SLICES:-20} rounds=${ROUNDS:-3}
dir=${DIR:-bench-catalogue-$sessions-$slices}
lake=${LAKE:-$dir/lake}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

if [[ ! -e $lake ]]; then
    "$tapetrail" generate --sessions "$sessions" --slices "$slices" --noise 100 -o "$dir" >&2
    # What the notifications of a fleet are signed with is in its configuration.
    TAPETRAIL_WEBHOOK_SECRETS=$(sed -n 's/^# *TAPETRAIL_WEBHOOK_SECRETS=//p' "$dir/tapetrail.toml")
    export TAPETRAIL_WEBHOOK_SECRETS
    for stream in api_calls webhooks storage_events session_records; do
        "$tapetrail" --config "$dir/tapetrail.toml" --lake "$lake" import --stream "$stream" "$dir/$stream.ndjson.zst" >&2
    done
    "$tapetrail" --lake "$lake" maintain >&2
fi
"$tapetrail" --lake "$lake" sql --format csv -c "
    SELECT 'api_calls' AS stream, count(*) AS events FROM api_calls UNION ALL
    SELECT 'webhooks', count(*) FROM webhooks UNION ALL
    SELECT 'storage_events', count(*) FROM storage_events UNION ALL
    SELECT 'session_records', count(*) FROM session_records ORDER BY stream"

# measure NAME COMMAND...: seconds by the clock, of the processors, and the most memory. Leaves what the command said in $out.
measure() {
    local name=$1
    shift
    /usr/bin/time -o "$out/time" -f "%e %U %S %M" "$@" >"$out/stdout" 2>"$out/stderr" || {
        cat "$out/stderr" >&2
        exit 1
    }
    awk -v name="$name" '{ printf "%-34s %7.2f s %7.2f s CPU %6.0f MB\n", name, $1, $2 + $3, $4 / 1024 }' "$out/time"
}

for _ in $(seq "$rounds"); do
    measure "detect" "$tapetrail" -v --lake "$lake" detect --format ndjson
done
# What the log says is done, with the seconds since the line before.
python3 - "$out/stderr" <<'PYTHON'
import re, sys
from datetime import datetime

steps, before = [], None
for line in open(sys.argv[1]):
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    found = re.match(r"\s*(\S+T\S+?)Z?\s+DEBUG .*?((?:computed the view|ran) .*)", line)
    if found:
        at = datetime.fromisoformat(found[1])
        steps.append(((at - before).total_seconds() if before else 0.0, found[2].strip()))
        before = at
for seconds, step in sorted(steps, reverse=True):
    print(f"    {seconds:7.2f} s  {step}")
PYTHON

sid=$("$tapetrail" --lake "$lake" sql --format csv -c "
    SELECT sid FROM api_calls WHERE operation = 'stop' AND sid > '8' ORDER BY sid LIMIT 1" | tail -1)
for _ in $(seq "$rounds"); do
    measure "investigate --sid" "$tapetrail" --lake "$lake" investigate --sid "$sid"
done
for _ in $(seq "$rounds"); do
    measure "report" "$tapetrail" --lake "$lake" report --output "$out/report.html"
done
if [[ -e $dir/truth.ndjson && -z ${LAKE:-} ]]; then
    "$tapetrail" --lake "$lake" generate --score "$dir/truth.ndjson"
fi
if [[ -n ${EACH:-} ]]; then
    for query in "$here"/queries/detections/*.sql; do
        name=$(basename "$query" .sql)
        measure "detect --only $name" "$tapetrail" --lake "$lake" detect --only "$name" --format ndjson
    done
fi
