# shellcheck shell=bash
# What the scripts beside this one share, each of which runs one service on loopback for tests: how it is got, started,
# watched and stopped. Whoever sources this says what it runs
#
#   service    in a sentence: "broker"
#   log        name of its log in DIR
#   mark       name in DIR that its command line holds: by it a pid is known to be the service's still
#   signal     what `stop` sends
#   owner      a pid: when that process is gone, the service ends and DIR is removed; empty for none
#
# and defines `start`, `status` and `is_ready`, then calls `take`. The functions know DIR as `dir`.

me=${0##*/}
cache=${TAPETRAIL_CACHE:-$HOME/.cache/tapetrail}
# What ends the service as if the power had failed, in the place of KILL.
at_once=KILL

fail() {
    echo "$me: $*" >&2
    exit 1
}

# need COMMAND [PACKAGE..]: fails where a command is missing, and names what to install.
need() {
    command -v "$1" >/dev/null && return
    (($# == 1)) || shift
    fail "\`$1\` is missing; on Debian: apt-get install -y $*"
}

# keep PLACE FUNCTION: has a function fill a directory, which then is PLACE in the cache, whole or not at all.
keep() {
    local work
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    "$2" "$work"
    # Another process may have been quicker; its copy is as good.
    mv -T "$work" "$1" 2>/dev/null || rm -rf "$work"
}

# get_jars DIRECTORY GROUP:ARTIFACT:VERSION..: puts them, and what they need to run, into DIRECTORY/libs.
get_jars() {
    local work=$1 coordinates group artifact version
    shift
    need java openjdk-17-jre-headless
    need mvn maven
    {
        echo "<project><modelVersion>4.0.0</modelVersion>"
        echo "<groupId>tapetrail</groupId><artifactId>tests</artifactId><version>1</version><dependencies>"
        for coordinates in "$@"; do
            IFS=: read -r group artifact version <<<"$coordinates"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
        done
        echo "</dependencies></project>"
    } >"$work/pom.xml"
    echo "$me: fetching $* from Maven Central into $cache" >&2
    mvn -q -B -Dstyle.color=never -f "$work/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$work/libs" >&2 ||
        fail "Maven could not get $*; its answer is above"
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

# fact FILE NAME: prints what a file of DIR says of a name.
fact() {
    sed -n "s/^$2=//p" "$dir/$1"
}

is_running() {
    [[ -f $dir/pid ]] && tr '\0' ' ' <"/proc/$(<"$dir/pid")/cmdline" 2>/dev/null | grep -qF "$dir/$mark"
}

# launch COMMAND..: starts the service, waits until it is ready, and has it end with its owner.
launch() {
    setsid "$@" >>"$dir/$log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    local waited=0
    until is_ready; do
        kill -0 "$(<"$dir/pid")" 2>/dev/null || {
            tail -20 "$dir/$log" >&2
            fail "the $service ended while starting; all it said is in $dir/$log"
        }
        ((waited++ < 1200)) || fail "the $service did not start in 2 minutes; see $dir/$log"
        sleep 0.1
    done
    if [[ -n $owner && ! -f $dir/watched ]]; then
        touch "$dir/watched"
        setsid "$0" watch "$dir" >/dev/null 2>&1 </dev/null &
    fi
}

# Ends the service when its owner has ended, by whatever cause.
watch() {
    while kill -0 "$owner" 2>/dev/null; do
        sleep 1
    done
    signal=KILL
    stop
    rm -rf "$dir"
}

stop() {
    local waited=0
    if is_running; then
        kill "-${signal/#KILL/$at_once}" "$(<"$dir/pid")"
        while is_running; do
            ((waited++ < 300)) || kill -KILL "$(<"$dir/pid")"
            sleep 0.1
        done
    fi
    rm -f "$dir/pid"
}

# take USAGE COMMAND [DIR [NAME]]: runs a command if it is in USAGE, with DIR in `dir` and NAME in `name`.
take() {
    local usage=$1 command=${2:-}
    dir=$(realpath -m "${3:-.}")
    name=${4:-}
    case " | $usage | watch DIR | " in
    *" | $command | "*) (($# == 2)) ;;
    *" | $command DIR | "*) (($# == 3)) ;;
    *" | $command DIR NAME | "*) (($# == 4)) ;;
    *) false ;;
    esac || fail "usage: $me $usage"
    "$command"
}
