#!/usr/bin/env bash
# Checks that --help, the man page and the completions list the same options,
# short and long, for each command.
# usage: options.sh GREX-LOCK SOURCE-DIRECTORY
set -euo pipefail
tool=$(realpath "$1")
source=$2
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
export PATH=${tool%/*}:$PATH HOME=$lists # fish only completes commands that exist
status=0

# Reports if two files of sorted lines differ.
same() {
  diff -u --label "$3" --label "$4" "$1" "$2" || status=1
}

# Writes a file for each command, with lines like `-t --tier`, from its --help.
# The file `grex-lock` is for --help without a command.
mapfile -t commands < <("$tool" --help | sed -n '/^Commands:/,/^$/ s/^  \([a-z]*\) .*/\1/p')
((${#commands[@]} > 0))
for command in grex-lock "${commands[@]}"; do
  if [[ $command == grex-lock ]]; then "$tool" --help; else "$tool" "$command" --help; fi |
    sed -nE '/^(Commands|Examples):/q; s/^  (-[[:alnum:]])?,? ?(--[a-z-]+).*/\1 \2/p' | sed 's/^ //' |
    sort >"$lists/$command.help"
done

# The same from the man page. It describes an option of every command before the
# commands. An option that a command shares with `run` may be described only there.
mandoc -T lint -W warning "$source/man/grex-lock.1"
for command in grex-lock "${commands[@]}"; do : >"$lists/$command.man"; done
awk '
  /^\.Sh / { in_commands = $2 == "COMMANDS"; command = $2 == "DESCRIPTION" ? "grex-lock" : "" }
  in_commands && $1 == ".Cm" && after_item { command = $2 }
  { after_item = /^\.It Xo/ }
  in_commands && /^\.It Cm / { command = $3 }
  command && /^\.It Fl / {
    names = ""
    for (i = 3; $i ~ /^(,|-?[[:alnum:]][a-z-]*)$/ && $i !~ /^(Ar|Ns|Op)$/; ++i)
      if ($i != ",") names = names " -" $i
    print command, substr(names, 2)
  }' "$source/man/grex-lock.1" |
  while read -r command names; do echo "$names" >>"$lists/$command.man"; done
for command in grex-lock "${commands[@]}"; do
  {
    cat "$lists/grex-lock.man" "$lists/$command.man"
    sort "$lists/run.man" | comm -12 - "$lists/$command.help"
  } | sort -u >"$lists/described"
  same "$lists/$command.help" "$lists/described" "$command --help" "man page of $command"
done
cat "$lists/grex-lock.man" "$lists/run.man" | sort >"$lists/described"
same "$lists/run.help" "$lists/described" "run --help" "man page of run"

# The same from the options that each shell offers.
printf '%s -\n' grex-lock "${commands[@]/#/grex-lock }" >"$lists/lines"
for shell in bash fish zsh; do
  # The time limit is for a shell that hangs.
  timeout 100 "$source/tests/completions/offered.$shell" "$source/completions" <"$lists/lines" >"$lists/offers"
  for command in grex-lock "${commands[@]}"; do
    IFS= read -r offers <&3 || offers=
    tr '\t' '\n' <<<"$offers" | grep -xE -- '-[[:alnum:]]|--[a-z-]+' | sort >"$lists/offered" || true
    tr ' ' '\n' <"$lists/$command.help" | sort >"$lists/names"
    same "$lists/names" "$lists/offered" "$command --help" "$shell after $command"
  done 3<"$lists/offers"
done
exit "$status"
