# shellcheck shell=bash disable=SC2034  # used by the scripts that source this
# What the scripts share: where things are, how they speak, how they find and end processes.
# Sourced, never run. Everything local to a checkout lives under .scrim/; what is expensive to fetch
# or build is kept by content under the user's cache, so that a second checkout starts fast.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 1

CACHE=${SCRIM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/scrim}
RUN=$ROOT/.scrim/run
LOG=$ROOT/.scrim/log

# Development addresses. Another set lets a second server run beside the first.
HTTP_PORT=${SCRIM_HTTP_PORT:-8080}
LIVEKIT_PORT=${SCRIM_LIVEKIT_PORT:-7880}
LIVEKIT_TCP_PORT=${SCRIM_LIVEKIT_TCP_PORT:-7881}
LIVEKIT_UDP_PORT=${SCRIM_LIVEKIT_UDP_PORT:-7882}
DEV_KEY=devkey
DEV_SECRET=devsecret-devsecret-devsecret-32ch

# Compiled dependencies are shared between checkouts where a cache exists, and always in CI.
if [[ -z ${CARGO_TARGET_DIR:-} ]]; then
    if [[ -d $CACHE/target || ${CI:-} == true ]]; then
        CARGO_TARGET_DIR=$CACHE/target
    else
        CARGO_TARGET_DIR=$ROOT/target
    fi
fi
export CARGO_TARGET_DIR

# ONNX Runtime tells its maker what it is used for unless it is told not to; the binary does that
# itself, Python packages and tests have to be helped.
export ORT_DISABLE_TELEMETRY=1

# rustup and Go put their programs here; a shell opened before they were installed does not know.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/go/bin

# ---- speaking ----

if [[ -t 1 ]]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; else BOLD='' PLAIN=''; fi

# step TEXT: what begins now.
step() { printf '%s==> %s%s\n' "$BOLD" "$*" "$PLAIN"; }

# note TEXT: a detail of the step.
note() { printf '    %s\n' "$*"; }

# fail WHAT [WHAT-TO-DO...]: says both and ends the script.
fail() {
    printf '%serror:%s %s\n' "$BOLD" "$PLAIN" "$1" >&2
    shift
    (($# == 0)) || printf '       %s\n' "$@" >&2
    exit 1
}

# limit SECONDS WHAT COMMAND...: runs it, and ends it with its children when it takes longer.
limit() {
    local seconds=$1 what=$2 status=0
    shift 2
    local options=(--kill-after=10)
    # On a terminal the command stays in our process group, so that Ctrl-C reaches it.
    [[ -t 0 ]] && options+=(--foreground)
    timeout "${options[@]}" "$seconds" "$@" || status=$?
    ((status == 124 || status == 137)) && fail "$what took longer than $seconds s and was ended"
    return "$status"
}

# ---- files ----

# sha256 FILE: its hash in hex.
sha256() { sha256sum "$1" | cut -d' ' -f1; }

# link TARGET NAME: NAME becomes a link to TARGET, whatever it was before.
link() {
    mkdir -p "$(dirname "$2")"
    [[ $(readlink "$2" || true) == "$1" ]] || ln -sfnT "$1" "$2"
}

# ---- ports and processes ----

# listeners PORT: socket inodes that listen on the TCP port or are bound to the UDP port.
listeners() {
    local port
    port=$(printf ':%04X' "$1")
    awk -v port="$port" '
        FNR == 1 { tcp = FILENAME ~ /tcp/ ; next }
        substr($2, length($2) - 4) == port && (!tcp || $4 == "0A") { print $10 }
    ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null || true
}

# holder PORT: "pid 123 (name)" of who has the port, or "another process" when /proc does not say.
holder() {
    local inode entry pid
    for inode in $(listeners "$1"); do
        for entry in /proc/[0-9]*/fd/*; do
            [[ $(readlink "$entry" 2>/dev/null) == "socket:[$inode]" ]] || continue
            pid=${entry#/proc/} pid=${pid%%/*}
            echo "pid $pid ($(cat "/proc/$pid/comm" 2>/dev/null))"
            return
        done
    done
    echo "another process"
}

# started PID: when the kernel started it, in clock ticks since boot; empty when there is none.
# Field 22 of stat, counted from after the command name, which may contain spaces.
started() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # A zombie has ended; only its parent does not know yet.
    # shellcheck disable=SC2086  # the fields are what is wanted
    set -- ${stat##*) }
    [[ $1 == Z ]] || echo "${20}"
}

# remember NAME PID: writes .scrim/run/NAME.pid, and beside it when that process started, because a
# process id alone may belong to somebody else by the time it is read.
remember() {
    mkdir -p "$RUN"
    started "$2" >"$RUN/$1.started"
    echo "$2" >"$RUN/$1.pid"
}

# forget NAME: removes what `remember` wrote.
forget() { rm -f "$RUN/$1.pid" "$RUN/$1.started"; }

# running NAME: prints the process id while the remembered process lives; false otherwise.
running() {
    local pid since
    pid=$(cat "$RUN/$1.pid" 2>/dev/null) || return 1
    since=$(cat "$RUN/$1.started" 2>/dev/null) || return 1
    [[ -n $pid && -n $since && $(started "$pid") == "$since" ]] || return 1
    echo "$pid"
}

# stop NAME SECONDS: SIGTERM to the remembered process, then SIGKILL when it outlives the deadline.
stop() {
    local name=$1 seconds=$2 pid waited=0
    if ! pid=$(running "$name"); then
        [[ ! -e $RUN/$name.pid ]] || note "$name (pid $(cat "$RUN/$name.pid")) had ended before"
        forget "$name"
        return
    fi
    kill -TERM "$pid" 2>/dev/null || true
    while running "$name" >/dev/null; do
        if ((waited++ >= seconds * 10)); then
            note "$name (pid $pid) did not end within $seconds s: killed"
            kill -KILL "$pid" 2>/dev/null || true
            break
        fi
        sleep 0.1
    done
    note "$name (pid $pid) stopped"
    forget "$name"
}
