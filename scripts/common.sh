# shellcheck shell=bash
# What setup.sh, test.sh and lock.sh share. Sourced; sets the working directory to the root of the repository.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root" || exit 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Run a command without its output, unless it fails.
quietly() {
  "$@" >"$scratch/quietly" 2>&1 </dev/null || {
    local status=$?
    cat "$scratch/quietly" >&2
    printf 'failed: %s\n' "$*" >&2
    return "$status"
  }
}

# Install Debian packages. Returns 1, without a word, where that is impossible: no apt-get, or no way to be root.
apt_install() {
  local as_root=()
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || return 1
    as_root=(sudo)
    # Nobody is there to type a password.
    [ -t 0 ] && [ "${CI:-}" != true ] || as_root=(sudo -n)
    "${as_root[@]}" true 2>/dev/null || return 1
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
    -o Acquire::Retries=1 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=120)
  # A fresh container has no package lists, an old one has stale ones: only then is the update worth its time.
  "${apt[@]}" install -y --no-install-recommends "$@" >"$scratch/apt" 2>&1 </dev/null && return 0
  "${apt[@]}" update >>"$scratch/apt" 2>&1 </dev/null || true
  "${apt[@]}" install -y --no-install-recommends "$@" >>"$scratch/apt" 2>&1 </dev/null && return 0
  cat "$scratch/apt" >&2
  return 1
}
