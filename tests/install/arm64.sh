#!/usr/bin/env bash
# Checks that the program for arm64 runs, under qemu-user: run, busy, status, hold, release.
# usage: arm64.sh GREX-LOCK
set -euo pipefail

scratch=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-arm64.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
pack=$scratch/pack
mkdir "$pack"

# Other processes see the emulator as the program, and the program as its first argument, but
# release ends only a process whose program is grex-lock and whose command is hold.
cp -- "$(command -v qemu-aarch64)" "$scratch/grex-lock"
cp -- "$1" "$scratch/hold"
grex_lock() { (cd "$scratch" && ./grex-lock hold "$@"); }

fail() {
  echo "arm64.sh: $*" >&2
  exit 1
}

# Runs grex-lock, and checks its exit code.
ends_with() {
  local expected=$1 status=0
  grex_lock "${@:2}" || status=$?
  ((status == expected)) || fail "grex-lock ${*:2}: exit code $status, not $expected"
}

state() { grex_lock status --json "$pack" | jq -r '.locks[] | select(.tier == "per-pack").state'; }

[[ $(grex_lock run "$pack" -- echo locked) == locked ]] || fail "run doesn't run its command"
ends_with 7 run "$pack" -- sh -c 'exit 7'
ends_with 0 hold --detach --note nightly "$pack" >"$scratch/held"
# Whatever fails from here on, the hold must not stay.
trap 'grex_lock release -q --if-held "$pack"; rm -rf -- "$scratch"' EXIT
ends_with 75 run -n "$pack" -- true 2>"$scratch/busy"
[[ $(<"$scratch/busy") == *"[nightly]"* ]] || fail "a busy lock isn't reported: $(<"$scratch/busy")"
[[ $(state) == held ]] || fail 'status does not show the held lock'
ends_with 0 release "$pack"
[[ $(state) == free ]] || fail 'status does not show the free lock'
ends_with 0 run -n "$pack" -- true
