#!/usr/bin/env bash
# test.sh [lint]: run every check, or only those that read the code. One that fails does not stop the others.
# A check whose tool is missing is said so at the end; under CI=true it is a failure.
# shellcheck disable=SC2030,SC2031 # what `beside` starts has a scratch and rows of its own
set -uo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

PATH=$root/.venv/bin:$PATH:/usr/sbin # where Debian puts nginx

# Some images forbid bytecode. Here hundreds of Python programs are started, and compiling costs each of them more than
# everything else it does at its start; beside the sources nothing is written.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
  unset PYTHONDONTWRITEBYTECODE
  export PYTHONPYCACHEPREFIX=${PYTHONPYCACHEPREFIX:-$root/.pytest_cache/bytecode}
fi

rows=()
notes=()
failed=0
groups= # of processes: those of `beside` that nobody has waited for

# An interrupted run leaves nothing running; common.sh would only remove the folder.
trap 'for group in $groups; do kill -- "-$group" 2>/dev/null; done; rm -rf "$scratch"' EXIT

record() {
  rows+=("$(printf '%-22s %-8s %5s s' "$1" "$2" "$3")")
  [ "$2" != FAILED ] || failed=1
}

# check NAME COMMAND...: its output is shown only if it fails.
check() {
  local name=$1 started=$SECONDS
  shift
  if "$@" >"$scratch/check" 2>&1 </dev/null; then
    record "$name" ok $((SECONDS - started))
  else
    printf '\n--- %s\n' "$name"
    cat "$scratch/check"
    record "$name" FAILED $((SECONDS - started))
  fi
}

# beside NAME FUNCTION: make its checks in their order, while the next ones do not wait for them; `joined NAME` does.
beside() {
  local name=$1
  mkdir "$scratch/$name"
  set -m # a process group of its own; and a background process would be deaf to SIGINT without it
  (
    scratch=$scratch/$name rows=() failed=0
    "$2" >"$scratch/said" 2>&1 </dev/null
    printf '%s\n' "${rows[@]}" >"$scratch/rows"
    exit "$failed"
  ) &
  printf '%s\n' "$!" >"$scratch/$name/group"
  groups="$groups $! "
  set +m
}

joined() {
  local group row
  [ -f "$scratch/$1/group" ] || return
  group=$(<"$scratch/$1/group")
  wait "$group" || failed=1
  groups=${groups/ $group /}
  cat "$scratch/$1/said"
  if [ -f "$scratch/$1/rows" ]; then
    while IFS= read -r row; do rows+=("$row"); done <"$scratch/$1/rows"
  else
    record "$1" FAILED 0
  fi
}

missing() {
  notes+=("missing: $1: $2")
  record "$1" missing 0
  [ "${CI:-}" != true ] || failed=1
}

# check_program PROGRAM PACKAGE WHAT: install a Debian package for its program, unless the program is there.
check_program() {
  local started=$SECONDS
  if command -v "$1" >/dev/null || apt_install "$2" 2>/dev/null; then
    record "$1" ok $((SECONDS - started))
  else
    missing "$1" "$3 are skipped; install it (Debian: apt-get install $2)"
  fi
}

# shellcheck disable=SC2317 # called by check
install_npm() (
  cd "$1" || exit
  wanted=$(cat package.json package-lock.json | cksum)
  [ "$(cat node_modules/.evertoken-setup 2>/dev/null)" != "$wanted" ] || exit 0
  npm ci --no-audit --no-fund && printf '%s\n' "$wanted" >node_modules/.evertoken-setup
)

check_npm() {
  local version folder
  version=$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/')
  if [ "${version:-0}" -lt 20 ] || ! command -v npm >/dev/null; then
    missing "npm ci" "the tests with JavaScript programs are skipped; install Node 20 or newer, with npm"
    return
  fi
  for folder in tests/oauth_clients tests/foreign_server examples/node_service examples/nest_pair browser; do
    check "npm ci ${folder#*/}" install_npm "$folder"
  done
}

# shellcheck disable=SC2317 # called by beside
check_types() {
  check mypy mypy
  check lint-imports lint-imports
}

# The browser client and the pages: their types, what needs no browser, and real tabs. Not beside pytest: together they
# keep two cores so busy that a page's deadline passes before its test has looked.
check_browser() {
  check "tsc browser" npm --prefix browser run types
  check "node --test browser" npm --prefix browser test
  if command -v chromium >/dev/null; then
    check "real tabs" npm --prefix browser run test:browsers
  fi
}

# niquests puts another library in the place of urllib3, so it has an environment of its own.
# shellcheck disable=SC2317 # called by check
install_niquests() {
  local wanted venv=.venv/niquests
  wanted="$(cksum <requirements/niquests.txt) $(.venv/bin/python --version)"
  [ "$(cat "$venv/.evertoken-setup" 2>/dev/null)" != "$wanted" ] || return 0
  rm -rf "$venv"
  .venv/bin/python -m venv "$venv" || return
  "$venv/bin/python" -m pip install --quiet --require-hashes --no-deps --only-binary :all: \
    -r requirements/niquests.txt && printf '%s\n' "$wanted" >"$venv/.evertoken-setup"
}

# On every core; starting the workers costs about a second. A file stays in one process, so that its fixtures are made
# once and its tests keep their order; files come in the order of tests/conftest.py, not those with most tests first.
# Tests marked `alone` have the machine for themselves. No more than 4 workers: a container sees all the cores of its
# host, whatever its share. PYTEST_XDIST_AUTO_NUM_WORKERS=1 for one at a time.
run_pytest() { pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder </dev/null; }

check_pytest() {
  local started=$SECONDS status
  printf '\n'
  if [ -t 1 ]; then
    run_pytest
    status=$?
  else
    # CI reads pytest's closing line at the end of the log: hold it back until the table is out.
    run_pytest | awk -v closing="$scratch/closing" \
      'NR > 1 { print last; fflush() } { last = $0 } END { print last > closing }'
    status=${PIPESTATUS[0]}
  fi
  if [ "$status" -eq 0 ]; then
    record pytest ok $((SECONDS - started))
  else
    record pytest FAILED $((SECONDS - started))
  fi
}

check "ruff check" ruff check .
check "ruff format --check" ruff format --check .
if [ "${1:-}" = lint ]; then
  check_types
else
  beside types check_types
  check_program strace strace "the tests that watch system calls"
  check_program redis-server redis-server "the tests of the token store in Redis"
  check_program pg_ctlcluster postgresql "the tests of the PostgreSQL store"
  check_program mariadbd mariadb-server "the tests of the MariaDB store"
  check_program nginx nginx "the tests of nginx's configuration"
  check_program ip iproute2 "the tests of several machines"
  check_program faketime faketime "the tests of machines with wrong clocks"
  check_program caddy caddy "the tests of Caddy's configuration"
  check_program chromium chromium "the tests in real tabs"
  check_program firefox-esr firefox-esr "the tests in Firefox"
  check_npm
  check "venv for niquests" install_niquests
  joined types
  check_pytest
  [ ! -d browser/node_modules ] || check_browser
fi

printf '\n'
printf '%s\n' "${rows[@]}"
[ ${#notes[@]} -eq 0 ] || printf '%s\n' "${notes[@]}"
[ ! -s "$scratch/closing" ] || cat "$scratch/closing"
exit "$failed"
