#!/usr/bin/env bash
# Checks that a shell completes command lines of grex-lock as in the table
# `cases`, and runs nothing that is typed in the lines of `never-run`.
# usage: check.sh bash|bare-bash|fish|zsh COMPLETIONS-DIRECTORY
set -euo pipefail
shell=$1
completions=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"/bin "$dir"/work/{ws/{app,lib},'two words',home/cellar}
touch "$dir"/work/{notes.txt,ws/notes.txt}
ln -s /bin/true "$dir/bin/mill"
ln -s /bin/true "$dir/bin/grex-lock"  # fish only completes commands that exist
cd "$dir/work"
export HOME=$dir/work/home PATH=$dir/bin:$PATH

tables=("$here/cases" "$here/wrapped-cases")
driver=offered.$shell
if [[ $shell == bare-bash ]]; then
  export BARE=yes
  driver=offered.bash
  tables=("$here/cases")
fi
grep -hEv '^(#|$)' "${tables[@]}" >"$dir/cases"
cut -d '|' -f 1 "$dir/cases" >"$dir/lines"
# The time limit is for a shell that hangs.
timeout 100 "$here/$driver" "$completions" <"$dir/lines" >"$dir/offers"
if (($(wc -l <"$dir/offers") != $(wc -l <"$dir/lines"))); then
  echo "$shell did not complete every line" >&2
  exit 1
fi

# Sets `stripped` to the words in `offered`, as the table lists them.
strip() {
  local word typed before
  typed=${line//\\ /_}
  typed=${typed##* }
  before=${typed%"${typed##*[=:/]}"}
  stripped=()
  for word in "${offered[@]//\\/}"; do
    word=${word#"$before"}
    word=${word#"${before##*[=:]}"}
    stripped+=("${word%[/=]}")
  done
}

has() {
  local wanted=$1 word
  shift
  for word; do [[ $word != "$wanted" ]] || return 0; done
  return 1
}

status=0
while IFS='|' read -r line wanted unwanted && IFS= read -r offers <&3; do
  IFS=$'\t' read -ra offered <<<"$offers"
  strip
  # shellcheck disable=SC2162 # a backslash makes a space part of a word
  read -a wanted <<<"${wanted//\$PID/$$}"
  wrong=()
  for word in "${wanted[@]}"; do
    has "$word" "${stripped[@]}" || wrong+=("no '$word'")
  done
  for word in "${stripped[@]}"; do
    if [[ $unwanted == '*' ]] && ! has "$word" "${wanted[@]}" || [[ " $unwanted " == *" $word "* ]]; then
      wrong+=("'$word'")
    fi
  done
  if ((${#wrong[@]} > 0)); then
    echo "$shell offers after \"$line\": ${wrong[*]:0:20}" >&2
    status=1
  fi
done <"$dir/cases" 3<"$dir/offers"

# Not each of these is completed by grex-lock's own code.
grep -v '^#' "$here/never-run" | timeout 100 "$here/$driver" "$completions" >/dev/null
ran=$(find "$dir/work" -name 'ran-*' -printf ' %f')
if [[ -n $ran ]]; then
  echo "$shell ran what was typed:$ran" >&2
  status=1
fi
exit "$status"
