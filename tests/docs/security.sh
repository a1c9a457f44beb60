#!/usr/bin/env bash
# Checks that each row of the table in SECURITY.md names tests, and that these
# exist.
# usage: security.sh SOURCE-DIRECTORY
set -euo pipefail
cd "$1"
status=0

tests=$(sed -nE 's/^TEST_CASE\("(.*)"\).*/\1/p; s/^ *add_test\(NAME "[a-z]+: (.*)".*/\1/p' tests/*/*.cpp tests/CMakeLists.txt)
rows=$(sed -n '/^|---/,/^$/p' SECURITY.md | sed 1d | grep '^|')
while IFS= read -r row; do
  shown_by=${row%|*}
  shown_by=${shown_by##*|}
  # shellcheck disable=SC2016 # the backticks of Markdown
  mapfile -t names < <(grep -oE '`[^`]+`' <<<"$shown_by" | tr -d '`')
  ((${#names[@]} > 0)) || { echo "no test: $row" && status=1; }
  for name in "${names[@]}"; do
    grep -qxF -- "$name" <<<"$tests" || { echo "no such test: $name" && status=1; }
  done
done <<<"$rows"
exit "$status"
