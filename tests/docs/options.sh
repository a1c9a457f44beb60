#!/usr/bin/env bash
# --help, the man page and the completions name the same long options.
# usage: options.sh GREX-LOCK SOURCE-DIRECTORY
set -euo pipefail
tool=$1
source=$2
commands=(run probe status hold release wait fd stack tiers)
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT

long_options() { grep -oE -- '(^|[^-[:alnum:]])--[a-z][a-z-]*' | grep -oE -- '--[a-z][a-z-]*' | sort -u; }

{
  "$tool" --help
  for command in "${commands[@]}"; do "$tool" "$command" --help; done
} | long_options >"$lists/help"

mandoc -T lint -W warning "$source/man/grex-lock.1"
mandoc -T ascii "$source/man/grex-lock.1" | sed 's/.\x08//g' | long_options >"$lists/man"
grep -v '^ *#' "$source/completions/grex-lock.bash" | long_options >"$lists/bash"
grep -v '^ *#' "$source/completions/_grex-lock" | long_options >"$lists/zsh"
grep '^complete' "$source/completions/grex-lock.fish" | grep -oE -- ' -l [a-z-]+' | sed 's/ -l /--/' | sort -u >"$lists/fish"

status=0
for place in man bash zsh fish; do
  if ! diff -u --label help --label "$place" "$lists/help" "$lists/$place"; then status=1; fi
done
bash -n "$source/completions/grex-lock.bash"
zsh -n "$source/completions/_grex-lock"
fish --no-execute "$source/completions/grex-lock.fish"
exit "$status"
