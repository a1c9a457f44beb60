#!/usr/bin/env bash
# Checks that the tests that a row of the table in SECURITY.md names quote that row.
# usage: security.sh SOURCE-DIRECTORY
#
# A comment directly above the test quotes the row, what is tried and what happens:
#
#   // SECURITY.md: to pass as another | refused, 77
#   TEST_CASE("…") {
#
# So neither the claim nor the name of a test can change without a change to the
# other. Whether the test shows the claim is for a reader of both to judge.
set -euo pipefail
cd "$1"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-security.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT

# Lines of a row, a tab, and one of its tests.
awk -F ' *[|] *' -v OFS='\t' '
  /^\|-/ { inside = 1; next }
  !/^\|/ { inside = 0 }
  inside {
    count = split($5, pieces, "`")
    if (count < 2) print $3 " | " $4, "(it names no test)"
    for (i = 2; i <= count; i += 2) print $3 " | " $4, pieces[i]
  }' SECURITY.md | LC_ALL=C sort >"$scratch/named"

# The same from the tests. One with a decorator is expected to fail and shows nothing.
find tests \( -name '*.cpp' -o -name CMakeLists.txt \) -exec awk -v OFS='\t' '
  function show(test, i) {
    for (i = 1; i <= count; ++i) print rows[i], test
    count = 0
  }
  FNR == 1 { show("(no test is below)") }
  sub(/^ *(\/\/|#) SECURITY\.md: /, "") { rows[++count] = $0; next }
  count > 0 && sub(/^(\/\/|#) /, "") { rows[count] = rows[count] " " $0; next }
  count > 0 && /^(\/\/|#)$/ { next }
  /^TEST_CASE\("/ || /^ *add_test\(NAME "/ {
    split($0, parts, "\"")
    if (/add_test/) sub(/^[a-z]+: /, "", parts[2])
    show(parts[2] (parts[3] ~ /^ \*/ ? " (with a decorator)" : ""))
    next
  }
  { show("(no test is below)") }
  END { show("(no test is below)") }' {} + | LC_ALL=C sort >"$scratch/marked"

diff -U 0 --label 'SECURITY.md' --label 'comments above the tests' "$scratch/named" "$scratch/marked"
