#!/usr/bin/env bash
# setup.sh [server|dev]: make .venv and install the locked packages and evertoken itself into it.
# Says nothing and takes no time when nothing has changed. PYTHON chooses the interpreter.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mode=${1:-server}
case $mode in
  server | dev) ;;
  *) fail "usage: scripts/setup.sh [server|dev]" ;;
esac

venv=$root/.venv
stamp=$venv/.evertoken-setup
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
unset PYTHONHOME PYTHONPATH

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
identity() { "$1" -c 'import sys; print(sys.version_info[:3], sys.base_prefix)' 2>/dev/null; }
version() { "$1" -c 'import sys; print(*sys.version_info[:2], sep=".")'; }

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer"
    command -v "$PYTHON"
    return
  fi
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if is_new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "evertoken needs Python 3.11 or newer: install it (Debian: apt-get install python3 python3-venv)," \
    "or name one with PYTHON=/path/to/python3"
}

# What .venv must have been made from. The folder belongs to it: scripts in .venv/bin carry its absolute path.
wanted() {
  printf '%s %s %s\n' "$1" "$(cat pyproject.toml "requirements/$1.txt" scripts/setup.sh | cksum)" "$root"
}

# Why .venv cannot be used as it is; nothing if it can. A .venv that works stays, whatever python3 means today.
reason_to_remake() {
  if [ ! -d "$venv" ]; then
    echo "none yet"
  elif ! is_new_enough "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "the old one does not work"
  elif [ -f "$stamp" ] && [ "$(cut -d ' ' -f 4- "$stamp")" != "$root" ]; then
    echo "the old one was made in another folder"
  elif [ -n "${PYTHON:-}" ] && [ "$(identity "$PYTHON")" != "$(identity "$venv/bin/python")" ]; then
    echo "the old one has another Python"
  fi
}

make_venv() {
  local python package
  python=$(find_python)
  # Debian ships Python without ensurepip, and `-m venv` then fails half-way.
  if ! "$python" -c 'import ensurepip, venv; ensurepip.version()' >/dev/null 2>&1; then
    package=python$(version "$python")-venv
    say "installing $package"
    if ! apt_install "$package" || ! "$python" -c 'import ensurepip, venv; ensurepip.version()' >/dev/null 2>&1; then
      fail "$python cannot make virtual environments: install $package (as root: apt-get install $package)"
    fi
  fi
  say "making .venv with Python $(version "$python") ($1)"
  rm -rf "$venv"
  quietly "$python" -m venv "$venv"
}

reason=$(reason_to_remake)
if [ -z "$reason" ] && [ -f "$stamp" ]; then
  # dev holds all of server, in the same versions.
  current=$(<"$stamp")
  if [ "$current" = "$(wanted dev)" ] || [ "$current" = "$(wanted "$mode")" ]; then
    exit 0
  fi
fi
[ -z "$reason" ] || make_venv "$reason"
rm -f "$stamp"

say "installing requirements/$mode.txt"
# Wheels only: building from source would fetch build tools that no lock file names.
quietly "$venv/bin/python" -m pip install --quiet --require-hashes --no-deps --only-binary :all: \
  -r "requirements/$mode.txt"
quietly "$venv/bin/python" -m pip install --quiet --no-index --no-build-isolation --no-deps --editable .
wanted "$mode" >"$stamp"
