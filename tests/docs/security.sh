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
status=0

# What is tried in the rows that the program does not keep: no test may quote one.
# The tests that show the fault are expected to fail.
cat >"$scratch/not-kept" <<'END'
the same with `.grex`, of which the lock file is below
the number of a stranger, to have `release` end it
END

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
find tests \( -name '*.cpp' -o -name CMakeLists.txt \) -exec awk -v OFS='\t' -v titles="$scratch/titles" '
  function show(test, i) {
    for (i = 1; i <= count; ++i) print rows[i], test
    count = 0
  }
  FNR == 1 { show("(no test is below)") }
  sub(/^(\/\/|#) SECURITY\.md: /, "") { rows[++count] = $0; next }
  count > 0 && sub(/^(\/\/|#) /, "") { rows[count] = rows[count] " " $0; next }
  count > 0 && /^(\/\/|#)$/ { next }
  /^TEST_CASE\("/ || /^ *add_test\(NAME "/ {
    split($0, parts, "\"")
    if (/add_test/) sub(/^[a-z]+: /, "", parts[2])
    print parts[2] >>titles
    show(parts[2] (parts[3] ~ /^ \*/ ? " (with a decorator)" : ""))
    next
  }
  { show("(no test is below)") }
  END { show("(no test is below)") }' {} + | LC_ALL=C sort >"$scratch/marked"

awk 'NR == FNR { not_kept[$0]; next } { split($0, cells, / [|] /) } !(cells[1] in not_kept)' \
  "$scratch/not-kept" "$scratch/named" >"$scratch/kept"
diff -U 0 --label 'SECURITY.md' --label 'comments above the tests' "$scratch/kept" "$scratch/marked" || status=1

while IFS= read -r tried; do
  awk -v start="$tried | " 'index($0, start) == 1' "$scratch/named" >"$scratch/row"
  if [[ ! -s $scratch/row ]]; then
    echo "no such row: $tried" && status=1
    continue
  fi
  echo "not kept: $(head -n 1 "$scratch/row" | cut -f 1)"
  cut -f 2 "$scratch/row" | while IFS= read -r name; do
    grep -qxF -- "$name" "$scratch/titles" || { echo "no such test: $name" && exit 1; }
  done || status=1
done <"$scratch/not-kept"
exit "$status"
