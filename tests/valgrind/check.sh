#!/usr/bin/env bash
# Runs end-to-end tests with every grex-lock under valgrind(1), and tells of bad
# accesses, of memory that was lost, and of descriptors that were left open.
# Valgrind is slow, and is what /proc shows of a process under it, so that some
# tests fail by it: their results are told, but what counts is valgrind's word.
# usage: check.sh GREX-LOCK BUILD-DIRECTORY [CTEST-ARG...]
set -euo pipefail
tool=$(realpath "$1")
build=$2
shift 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/logs"
cat >"$work/grex-lock" <<END
#!/bin/sh
exec valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --track-fds=yes \\
  --num-callers=30 --log-file='$work/logs/%p' '$tool' "\$@"
END
chmod +x "$work/grex-lock"

TESTED_GREX_LOCK=$work/grex-lock ctest --test-dir "$build" "$@" || true

# Whatever is told is a fault, but for descriptors that were there before, and
# calls of the system that valgrind does not know (lines that begin with --).
cat "$work"/logs/* | sed -nE 's/^==[0-9]+== ?//p' | awk '
  /^FILE DESCRIPTORS/ { ++processes; next }
  /^Open file descriptor/ { descriptor = $0; next }
  /<inherited from parent>/ { descriptor = ""; next }
  descriptor != "" { print descriptor; descriptor = ""; ++faults }
  NF { print; ++faults }
  END {
    print processes + 0 " processes, " (faults ? "with faults" : "no fault")
    exit faults > 0 || !processes
  }'
