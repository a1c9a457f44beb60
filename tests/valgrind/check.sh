#!/usr/bin/env bash
# Runs end-to-end tests with every grex-lock process under valgrind(1), and reports
# invalid accesses, leaked memory, and descriptors that were left open. Some tests
# fail under valgrind, because it is slow, and because /proc shows it instead of
# grex-lock. Their results are printed, but only valgrind's reports count.
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

GREX_LOCK_BINARY=$work/grex-lock ctest --test-dir "$build" "$@" || true

# Each report is a fault, except for inherited descriptors, and for system calls
# that valgrind does not know (lines that begin with --).
cat "$work"/logs/* | sed -nE 's/^==[0-9]+== ?//p' | awk '
  /^FILE DESCRIPTORS/ { ++processes; next }
  /^Open file descriptor/ { descriptor = $0; next }
  /<inherited from parent>/ { descriptor = ""; next }
  descriptor != "" { print descriptor; descriptor = ""; ++faults }
  NF { print; ++faults }
  END {
    print processes + 0 " processes, " (faults ? "with faults" : "no fault")
    if (!processes) print "valgrind saw no grex-lock process"
    exit faults > 0 || !processes
  }'
