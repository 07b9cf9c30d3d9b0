#!/usr/bin/env bash
# Write requirements/*.txt from pyproject.toml, and the JavaScript clients' lock file from their package.json.
# The files hold versions and hashes, and no registry's address. UPGRADE=1 takes the newest of everything.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ -x .venv/bin/uv ] || quietly .venv/bin/python -m pip install --quiet uv==0.13.8

compile() {
  local output=$1
  shift
  # An existing output file is what uv keeps to, as far as pyproject.toml allows.
  quietly .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
    ${UPGRADE:+--upgrade} "$@" --output-file "$output" pyproject.toml
}

# dev first, and server within it: a .venv made for dev then holds exactly what the server is shipped with.
compile requirements/dev.txt --extra server --group dev
compile requirements/server.txt --extra server --group build --constraints requirements/dev.txt
# niquests puts another library in the place of urllib3: an environment of its own, for its tests only.
compile requirements/niquests.txt --group niquests

if command -v npm >/dev/null; then
  for folder in tests/oauth_clients tests/foreign_server examples/node_service examples/nest_pair browser; do
    (
      cd "$folder"
      [ -z "${UPGRADE:-}" ] || rm -f package-lock.json
      quietly npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
    )
  done
else
  say "npm is missing: tests/*/package-lock.json stay as they are"
fi

if grep -nE '://' requirements/*.txt {tests,examples}/*/package-lock.json browser/package-lock.json | grep -vE '"(url|homepage)":' >&2; then
  fail "a lock file holds an address"
fi
