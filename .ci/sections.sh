# The parts that .ci/run and .ci/nightly share: sections, the final count, Pythons and services.
# Each section writes to a log of its own. The log is printed when the section has ended.
# shellcheck shell=bash

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

export CI=true
export PIP_DISABLE_PIP_VERSION_CHECK=1
export PYTEST_ADDOPTS="--color=no ${PYTEST_ADDOPTS:-}"
export DEBIAN_FRONTEND=noninteractive
unset ALDIS_NO_EXTENSIONS ALDIS_STRICT ALDIS_TEST_SIZE PYTHONPATH
unset ARGS MAKEFLAGS MFLAGS MAKEOVERRIDES # those of the make that called this script

work=$(mktemp -d "${TMPDIR:-/tmp}/aldis-check.XXXXXX") || exit 1
mkdir "$work/logs"
trap 'rm -rf "$work"' EXIT
export work

# -- sections --------------------------------------------------------------------------------------

heading() {
    printf '\n######## %s\n' "$*"
}

fail() {
    printf '  - %s\n' "$1" >>"$work/failed"
}

# section TITLE LIMIT COMMAND...: LIMIT is in seconds; no section may outlast $BUDGET. The output goes
# to a file and not to a pipe, so that a process left behind cannot make this script wait.
section() {
    local title=$1 limit=$2 left=$((BUDGET - SECONDS)) start=$SECONDS status log verdict
    shift 2
    log=$work/logs/${title//[^a-zA-Z0-9.]/-}
    ((left < limit)) && limit=$left
    if ((limit <= 0)); then
        echo "no time left" >"$log"
        status=1
    else
        timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1 </dev/null
        status=$?
    fi
    case $status in
        0) verdict="ok: $title ($((SECONDS - start)) s)" ;;
        124 | 137) verdict="FAILED: $title (stopped after $limit s)" ;;
        *) verdict="FAILED: $title (exit $status, $((SECONDS - start)) s)" ;;
    esac
    {
        flock 9 # one section prints at a time
        heading "$title"
        cat "$log"
        echo "-------- $verdict"
        echo "$verdict" >>"$work/verdicts"
    } 9>"$work/printing"
    ((status == 0)) || fail "$title"
}

# The number before WORD in pytest's closing line, or 0.
count() {
    local number
    number=$(grep -oE "[0-9]+ $1" <<<"$2" | head -n 1 | cut -d ' ' -f 1)
    echo "${number:-0}"
}

# Print the sum of pytest's closing lines in all logs.
tally() {
    local line passed=0 failed=0 skipped=0
    while read -r line; do
        passed=$((passed + $(count passed "$line")))
        failed=$((failed + $(count failed "$line") + $(count 'errors?' "$line")))
        skipped=$((skipped + $(count skipped "$line")))
    done < <(grep -hE '^=+ .*(passed|failed|error|skipped|no tests ran).* in [0-9.]+s' "$work"/logs/*)
    echo "$passed passed, $failed failed, $skipped skipped"
}

# A run without one test must not look like success.
require_tests() {
    [[ $(tally) != "0 passed, 0 failed,"* ]] || fail "no test ran"
}

# finish NAME: print how long each section took, what failed, and the tally; then exit.
finish() {
    local totals
    heading "$1, after $((SECONDS / 60)) min $((SECONDS % 60)) s"
    cat "$work/verdicts" 2>/dev/null
    totals=$(tally)
    if [[ -e $work/failed ]]; then
        echo "Failed sections:"
        cat "$work/failed"
        echo "$totals"
        exit 1
    fi
    echo "All sections passed."
    echo "$totals"
    exit 0
}

# -- the machine -----------------------------------------------------------------------------------

can_install() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null
}

install_packages() {
    heading "installing $*"
    timeout 600 apt-get update -q </dev/null
    timeout 600 apt-get install -q -y --no-install-recommends "$@" </dev/null
}

is_debian() {
    [[ -e /etc/debian_version ]]
}

has_headers() {
    "$1" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null
}

install_tools() {
    local missing=()
    command -v make >/dev/null || missing+=(make)
    command -v gcc >/dev/null || missing+=(gcc libc6-dev)
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    command -v chromium >/dev/null || missing+=(chromium) # tests of the dashboard
    command -v pgbouncer >/dev/null || missing+=(pgbouncer)
    if is_debian; then
        /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
        has_headers /usr/bin/python3 || missing+=(python3-dev)
    fi
    ((${#missing[@]} == 0)) || ! can_install || install_packages "${missing[@]}"
}

is_version() {
    "$1" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" 2>/dev/null
}

# Print the first interpreter of that version that runs: from PATH, then pyenv's, newest first.
find_python() {
    local candidate
    while read -r candidate; do
        if [[ -x $candidate ]] && is_version "$candidate" "$1"; then
            echo "$candidate"
            return
        fi
    done < <(
        type -aP "python$1"
        printf '%s\n' "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python | sort -rV
    )
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# start_service PORT NAME PROGRAM PACKAGE: start a server that is down, and install it if it is missing.
# A server that was installed here is set up for the tests: no password on loopback.
start_service() {
    local port=$1 name=$2 program=$3 package=$4 installed=
    answers "$port" && return
    heading "starting $name"
    if [[ -z $(compgen -G "$program") ]] && can_install; then
        install_packages "$package" && installed=yes
    fi
    "start_$package" "$installed"
    for _ in {1..60}; do
        answers "$port" && return
        sleep 1
    done
    echo "$name does not answer on port $port; its tests will fail"
}

start_postgresql() {
    local version
    version=$(ls /etc/postgresql 2>/dev/null | sort -V | tail -n 1)
    [[ -n $version ]] || return
    if [[ -n $1 ]]; then
        sed -i '1i host all all 127.0.0.1/32 trust' "/etc/postgresql/$version/main/pg_hba.conf"
    fi
    pg_ctlcluster --skip-systemctl-redirect "$version" main restart </dev/null
    if [[ -n $1 ]]; then
        psql -h 127.0.0.1 -U postgres -c 'CREATE DATABASE test' </dev/null
    fi
}

start_mariadb-server() {
    local server
    server=$(command -v mariadbd || echo /usr/sbin/mariadbd)
    start-stop-daemon --start --oknodo --background --exec "$server" </dev/null
    [[ -n $1 ]] || return
    for _ in {1..30}; do
        mariadb -e "ALTER USER root@localhost IDENTIFIED BY ''; CREATE DATABASE IF NOT EXISTS test" \
            </dev/null 2>/dev/null && return
        sleep 1
    done
}

start_redis-server() {
    redis-server --bind 127.0.0.1 --save '' --daemonize yes </dev/null
}

start_databases() {
    start_service 5432 PostgreSQL '/usr/lib/postgresql/*/bin/postgres' postgresql
    start_service 3306 MariaDB '/usr/sbin/mariadbd' mariadb-server
}
