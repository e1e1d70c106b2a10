#!/usr/bin/env python3
"""Runs the detections of queries/ in DuckDB, over the same Parquet files as tapetrail, side by side.

    pip install duckdb
    benches/beside_duckdb.py LAKE                       every detection: rows and seconds in both, the ratio, equal or not
    benches/beside_duckdb.py LAKE --alone               each detection in a session of its own, with the views it needs
    benches/beside_duckdb.py LAKE --only ghost_start --differences 5
    benches/beside_duckdb.py --print detections/ghost_start

In DuckDB the views that say `kept = true` are temporary tables, as tapetrail keeps them; all others are views. Each
detection has its default parameters and runs with its query of what could not be judged, as `tapetrail detect` does.
Ratio: DuckDB's seconds by tapetrail's; above 1 tapetrail is faster. Exits with 1 when findings differ. tapetrail gets as many
cores as DuckDB gets threads. On more than one its steps overlap, and each is told with the time since the one that ended
before it: for the ratio of each detection ask for --threads 1, or for --alone.

What DuckDB spells otherwise is in CALLS, WORDS, MACROS and SETTINGS below, and nowhere else; queries/README.md lists it
beside Spark's spelling, and a test keeps the SQL to that (tests/it/portable.rs).
"""

import argparse
import glob
import json
import os
import re
import resource
import subprocess
import sys
import time
import tomllib
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb

QUERIES = Path(__file__).resolve().parent.parent / "queries"
STREAMS = ["api_calls", "webhooks", "storage_events", "session_records"]
# Witnesses that a lake can do without.
OPTIONAL = ["audits", "upload_status"]

# ---- What DuckDB spells otherwise ------------------------------------------------------------------------------

# Functions whose calls are written otherwise: name -> arguments -> text.
CALLS = {
    # Instants as microseconds, and the other way lengths of time; text and numbers are cast by CAST, as everywhere.
    "arrow_cast": lambda value, kind: {
        "'Int64'": f"epoch_us({value})",
        "'Duration(Microsecond)'": f"to_microseconds({value})",
        "'Utf8'": value,
    }[kind],
    # %.3f: a dot and milliseconds, in DataFusion; %g: milliseconds, in DuckDB.
    "to_char": lambda at, form: f"strftime(({at}) AT TIME ZONE 'UTC', {form.replace('%.3f', '.%g')})",
    "first_value": lambda *args: f"first({', '.join(args)})",
    "last_value": lambda *args: f"last({', '.join(args)})",
    "make_array": lambda *args: f"[{', '.join(args)}]",
    "named_struct": lambda *args: "{%s}" % ", ".join(f"{name}: {value}" for name, value in zip(args[::2], args[1::2])),
    "regexp_like": lambda text, pattern: f"regexp_matches({text}, {pattern})",
    "regexp_match": lambda text, pattern: f"[regexp_extract({text}, {pattern}, 1)]",
    "array_element": lambda array, index: f"list_extract({array}, {index})",
}

# Words in sequence that are written otherwise.
WORDS = {
    ("LEFT", "ANTI", "JOIN"): "ANTI JOIN",
    ("LEFT", "SEMI", "JOIN"): "SEMI JOIN",
    # A name in our SQL, a keyword in DuckDB's.
    ("at",): '"at"',
}

# Functions that DuckDB does not have, or whose result differs.
MACROS = [
    "CREATE TEMP MACRO array_remove_all(items, item) AS list_filter(items, lambda x: x IS DISTINCT FROM item)",
    # DuckDB's own gives them in any order, others in that of the list.
    "CREATE TEMP MACRO array_distinct(items) AS list_filter(items, lambda x, i: list_position(items, x) = i)",
    # Of an empty text DuckDB makes a list of one empty text.
    "CREATE TEMP MACRO string_to_array(joined, mark) AS CASE WHEN joined = '' THEN CAST([] AS VARCHAR[]) ELSE string_split(joined, mark) END",
]

SETTINGS = [
    "SET TimeZone = 'UTC'",
    "SET integer_division = true",
    "SET default_null_order = 'nulls_last_on_asc_first_on_desc'",
]

TOKEN = re.compile(
    r"""--[^\n]*|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$?[A-Za-z_][A-Za-z_0-9]*|\s+|.""",
    re.DOTALL,
)


def translate(sql):
    """Returns the SQL as DuckDB writes it."""
    tokens = [token for token in TOKEN.findall(sql) if not token.startswith("--")]
    return translated(tokens)


def translated(tokens):
    out = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.lower() in CALLS and tokens[at + 1 : at + 2] == ["("]:
            end = closing(tokens, at + 1)
            args = [translated(arg).strip() for arg in split(tokens[at + 2 : end])]
            out.append(CALLS[token.lower()](*args))
            at = end + 1
            continue
        for words, instead in WORDS.items():
            end = at + 2 * len(words) - 1
            if [t.upper() for t in tokens[at:end:2]] == [word.upper() for word in words]:
                out.append(instead)
                at = end
                break
        else:
            out.append(token)
            at += 1
    return "".join(out)


def closing(tokens, opening):
    """Returns where the parenthesis closes that opens there."""
    depth = 0
    for at in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[at], 0)
        if depth == 0:
            return at
    raise ValueError("a parenthesis is not closed")


def split(tokens):
    """Returns the arguments between commas."""
    args, depth = [[]], 0
    for token in tokens:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token, 0)
        if token == "," and depth == 0:
            args.append([])
        else:
            args[-1].append(token)
    return [arg for arg in args if "".join(arg).strip()]


# ---- Queries ---------------------------------------------------------------------------------------------------


class Query:
    """A file of queries/: its header and its SQL."""

    def __init__(self, path):
        self.folder, self.name = path.parent.name, path.stem
        self.sql = path.read_text()
        # What cannot be judged has the parameters of its detection.
        headed = self.sql if self.folder != "not_judged" else (QUERIES / "detections" / path.name).read_text()
        fenced = re.match(r"\s*-- ---\n(.*?)\n-- ---\n", headed, re.DOTALL)
        lines = fenced.group(1).split("\n") if fenced else []
        self.header = tomllib.loads("\n".join(re.sub(r"^-- ?", "", line) for line in lines))
        bare = "".join(token for token in TOKEN.findall(self.sql) if not token.startswith("--"))
        self.words = {token.strip('"').lower() for token in TOKEN.findall(bare) if not token.startswith("'")}

    def duckdb(self):
        """Returns its SQL as DuckDB writes it, with parameters of their types."""
        return re.sub(r"\$(\w+)", lambda name: f"CAST({name.group()} AS {self.type(name.group(1))})", translate(self.sql))

    def type(self, name):
        """Returns the type of a parameter."""
        kind = self.header["params"][name]["type"]
        return {"duration": "INTERVAL", "string": "VARCHAR", "int64": "BIGINT", "float64": "DOUBLE"}[kind]

    def params(self):
        """Returns the defaults of the parameters that the SQL uses."""
        params = {name: value(param) for name, param in self.header.get("params", {}).items()}
        return {name: value for name, value in params.items() if f"${name}" in self.words}


def value(param):
    default = param["default"]
    if param["type"] != "duration":
        return default
    number, unit = re.fullmatch(r"([0-9.]+)\s*(ms|s|m|h|d)", default).groups()
    units = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[unit]: float(number)})


def folder(name):
    return {path.stem: Query(path) for path in sorted((QUERIES / name).glob("*.sql"))}


class Library:
    def __init__(self):
        self.views = folder("views")
        self.detections = folder("detections")
        self.not_judged = folder("not_judged")

    def queries(self, detection):
        """Returns what `tapetrail detect` runs for a detection."""
        queries = [self.detections[detection], self.not_judged.get(detection)]
        return [query for query in queries if query is not None]

    def reached(self, queries):
        """Returns the views that queries build on, each after those it builds on."""
        order = []

        def visit(query):
            for name in sorted(query.words & self.views.keys() - {query.name}):
                if name not in order:
                    visit(self.views[name])
                    if name not in order:
                        order.append(name)

        for query in queries:
            visit(query)
        return order

    def kept(self, queries):
        """Returns the views that a run of these queries computes once: those that say so and that several read."""
        readers = [name for query in queries for name in self.reached([query])]
        return {name for name in readers if self.views[name].header.get("kept") and readers.count(name) > 1}


# ---- The lake --------------------------------------------------------------------------------------------------


def live_files(lake, stream):
    """Returns the files of a table's newest version, read from its Delta log: checkpoint, then commits."""
    log = Path(lake) / stream / "_delta_log"
    files, first = set(), 0
    last = log / "_last_checkpoint"
    if last.exists():
        version = json.loads(last.read_text())["version"]
        parts = sorted(glob.glob(f"{log}/{version:020}.checkpoint*.parquet"))
        rows = duckdb.sql(f"SELECT add.path FROM read_parquet({parts}) WHERE add.path IS NOT NULL")
        files, first = {path for (path,) in rows.fetchall()}, version + 1
    for commit in sorted(log.glob("*.json")):
        if not commit.stem.isdigit() or int(commit.stem) < first:
            continue
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                files.add(action["add"]["path"])
            if "remove" in action:
                files.discard(action["remove"]["path"])
    return sorted(str(Path(lake) / stream / urllib.parse.unquote(path)) for path in files)


def empty(stream):
    """Returns a query of no rows with the columns of a table."""
    kinds = {
        "string": "VARCHAR",
        "int64": "BIGINT",
        "timestamp": "TIMESTAMPTZ",
        "bool": "BOOLEAN",
        "date": "DATE",
        "strings": "VARCHAR[]",
    }
    columns = Query(QUERIES / "views" / f"{stream}.sql").header["columns"]
    columns = {name: kinds[column["type"]] for name, column in columns.items()} | {"disposition": "VARCHAR"}
    nothing = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns.items())
    return f"SELECT {nothing} WHERE false"


def connect(options):
    connection = duckdb.connect(config={"threads": options.threads, "memory_limit": options.memory})
    for statement in SETTINGS + MACROS:
        connection.execute(statement)
    for stream in STREAMS + OPTIONAL:
        files = live_files(options.lake, stream)
        if not files and stream in OPTIONAL:
            connection.execute(f"CREATE TEMP VIEW log_{stream} AS {empty(stream)}")
            continue
        if not files:
            sys.exit(f"the lake `{options.lake}` has no files of {stream}; every stream needs some")
        connection.execute(
            f"CREATE TEMP VIEW log_{stream} AS SELECT * FROM read_parquet({files},"
            " hive_partitioning = true, hive_types = {'event_date': DATE})"
        )
    return connection


# ---- Runs ------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What a run of detections gave in one of the engines."""

    # Findings by detection.
    found: dict = field(default_factory=dict)
    # By detection, of how many sessions it could not judge; not there where it does not say.
    not_judged: dict = field(default_factory=dict)
    # Seconds of each kept view and each detection.
    steps: dict = field(default_factory=dict)
    # Seconds of the whole, by the clock and of the processor.
    seconds: tuple = (0.0, 0.0)


def run_duckdb(options, library, names):
    """Does in DuckDB what `tapetrail detect` does."""
    clock, done = Stopwatch(resource.RUSAGE_SELF), Run()
    connection = connect(options)
    queries = [query for name in names for query in library.queries(name)]
    kept = library.kept(queries)
    laps = Stopwatch(resource.RUSAGE_SELF)
    for name in library.reached(queries):
        kind = "TABLE" if name in kept else "VIEW"
        execute(connection, f"CREATE TEMP {kind} {name} AS {library.views[name].duckdb()}", {}, f"views/{name}")
        if name in kept:
            done.steps[f"view {name}"] = laps.lap()[0]
    laps.lap()
    for name in names:
        for query in library.queries(name):
            where = f"{query.folder}/{name}"
            execute(connection, f"CREATE OR REPLACE TEMP TABLE given AS {query.duckdb()}", query.params(), where)
            if query.folder == "detections":
                done.found[name] = rows_of(connection)
            else:
                done.not_judged[name] = connection.execute("SELECT count(*) FROM given").fetchone()[0]
        done.steps[name] = laps.lap()[0]
    done.seconds = clock.lap()
    return done


def execute(connection, sql, params, where):
    try:
        connection.execute(sql, params)
    except duckdb.Error as error:
        sys.exit(f"{where}: DuckDB says: {error}")


def rows_of(connection):
    """Returns the rows of the last detection in the form of `tapetrail detect --format ndjson`."""
    columns = []
    for name, kind in connection.execute("SELECT column_name, column_type FROM (DESCRIBE given)").fetchall():
        of_time = f"strftime({name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
        columns.append(f'{of_time} AS "{name}"' if kind == "TIMESTAMP WITH TIME ZONE" else f'"{name}"')
    result = connection.execute(f"SELECT {', '.join(columns)} FROM given")
    names = [column[0] for column in result.description]
    return [dict(zip(names, row)) for row in result.fetchall()]


# The columns of every finding but the first two, which tapetrail fills in.
COLUMNS = """severity variant app_id cname uid sids first_at last_at expected_vendor expected_bucket actual_vendor
actual_bucket root_cause explanation evidence""".split()


def comparable(row, severity):
    def same(name, value):
        if name == "severity":
            return value or severity
        if name in ("first_at", "last_at") and value:
            whole, _, rest = value.rstrip("Z").partition(".")
            return f"{whole}.{rest:0<6}"
        return value

    return {name: same(name, row.get(name)) for name in COLUMNS}


# What `tapetrail -v` tells of each step when it is done.
STEP = re.compile(r"^(\S+Z)\s+DEBUG .*?(?:(computed the view)|ran) (\w+).*?(?:not_judged=(\d+))?$", re.MULTILINE)


def run_tapetrail(options, names):
    """Runs `tapetrail detect`."""
    command = [options.tapetrail, "-v", "--lake", options.lake, "detect", "--only", ",".join(names)]
    command += ["--format", "ndjson", "--memory-limit", options.memory, "--queries", str(QUERIES)]
    before, clock = datetime.now(timezone.utc), Stopwatch(resource.RUSAGE_CHILDREN)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[: options.threads])
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    os.sched_setaffinity(0, cores)
    done = Run(seconds=clock.lap())
    if process.returncode != 0:
        sys.exit(f"tapetrail: {process.stderr}")
    for line in process.stdout.splitlines():
        row = json.loads(line)
        done.found.setdefault(row["detection"], []).append(row)
    for at, is_view, name, not_judged in STEP.findall(process.stderr):
        at, step = datetime.fromisoformat(at), f"view {name}" if is_view else name
        done.steps[step] = done.steps.get(step, 0.0) + (at - before).total_seconds()
        before = at
        if not_judged:
            done.not_judged[name] = int(not_judged)
    return done


class Stopwatch:
    """Seconds by the clock and of the processor; other work on the machine changes the latter little."""

    def __init__(self, whose):
        self.whose = whose
        self.last = self.read()

    def read(self):
        usage = resource.getrusage(self.whose)
        return time.monotonic(), usage.ru_utime + usage.ru_stime

    def lap(self):
        """Returns the seconds since the last lap."""
        last, self.last = self.last, self.read()
        return tuple(now - then for now, then in zip(self.last, last))


def compare(library, name, ours, theirs, options):
    """Says whether two runs found the same, and shows where not."""
    severity = library.detections[name].header["severity"]

    def keyed(rows):
        return sorted(json.dumps(comparable(row, severity), sort_keys=True) for row in rows)

    found, given = keyed(ours.found.get(name, [])), keyed(theirs.found[name])
    if found != given:
        ours_only, theirs_only = Counter(found) - Counter(given), Counter(given) - Counter(found)
        for engine, rows in (("tapetrail", ours_only), ("DuckDB", theirs_only)):
            for row in list(rows)[: options.differences]:
                print(f"  {engine}: {row}")
        return f"{ours_only.total()} only in tapetrail, {theirs_only.total()} only in DuckDB"
    counts = ours.not_judged.get(name), theirs.not_judged.get(name)
    if None not in counts and counts[0] != counts[1]:
        return f"equal, but not judged: {counts[0]} in tapetrail, {counts[1]} in DuckDB"
    return "equal"


def main():
    options = arguments()
    if options.print:
        path = QUERIES / f"{options.print}.sql"
        if not path.exists():
            sys.exit(f"there is no query `{options.print}`; name it as folder/name, as in detections/ghost_start")
        print(Query(path).duckdb().strip())
        return
    library = Library()
    names = options.only.split(",") if options.only else list(library.detections)
    for name in names:
        if name not in library.detections:
            sys.exit(f"there is no detection `{name}`; there are: {', '.join(library.detections)}")
    print(f"DuckDB {duckdb.__version__}, {options.threads} threads, {options.memory}\n")
    print(f"{'detection':<32} {'rows':>7} {'duckdb s':>9} {'tapetrail s':>12} {'ratio':>6}  findings")
    all_equal = True
    for group in [[name] for name in names] if options.alone else [names]:
        theirs, ours = run_duckdb(options, library, group), run_tapetrail(options, group)
        if options.alone:
            theirs.steps, ours.steps = {group[0]: theirs.seconds[0]}, {group[0]: ours.seconds[0]}
        for step in sorted(theirs.steps, key=lambda step: (step in group, step)):
            rows = verdict = ""
            if step in group:
                rows, verdict = len(theirs.found[step]), compare(library, step, ours, theirs, options)
                all_equal &= verdict == "equal"
            print(line(step, rows, theirs.steps[step], ours.steps.get(step), verdict), flush=True)
        if not options.alone:
            print(line("all, by the clock", "", theirs.seconds[0], ours.seconds[0]))
            print(line("all, of the processor", "", theirs.seconds[1], ours.seconds[1]))
    sys.exit(0 if all_equal else 1)


def line(step, rows, theirs, ours, verdict=""):
    ratio = f"{theirs / ours:>6.2f}" if ours else f"{'':>6}"
    ours = f"{ours:>12.2f}" if ours is not None else f"{'':>12}"
    return f"{step:<32} {rows:>7} {theirs:>9.2f} {ours} {ratio}  {verdict}".rstrip()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", nargs="?", help="directory of the lake")
    parser.add_argument("--only", metavar="NAMES", help="these detections, separated by commas")
    parser.add_argument("--alone", action="store_true", help="each detection in a session of its own")
    parser.add_argument("--tapetrail", default="tapetrail", metavar="PROGRAM", help="default: tapetrail")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--memory", default="2GB", metavar="SIZE", help="default: 2GB")
    parser.add_argument("--differences", type=int, default=0, metavar="N", help="show N findings of each that differ")
    parser.add_argument("--print", metavar="QUERY", help="show a query as DuckDB gets it: folder/name")
    options = parser.parse_args()
    if not options.lake and not options.print:
        parser.error("the lake is missing")
    return options


if __name__ == "__main__":
    main()
