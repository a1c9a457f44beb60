#!/usr/bin/env bash
# Checks that --help, the man page and the completions list the same options,
# short and long, for each command, and that the completions describe commands
# and options in the words of --help.
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

# Writes two files for each command, from its --help: one with lines like
# `-t --tier`, and one with a line like `--tier:tier of each PATH` for each name.
# The files `grex-lock` are for --help without a command.
mapfile -t commands < <("$tool" --help | sed -n '/^Commands:/,/^$/ s/^  \([a-z]*\) .*/\1/p')
((${#commands[@]} > 0))
for command in grex-lock "${commands[@]}"; do
  if [[ $command == grex-lock ]]; then "$tool" --help; else "$tool" "$command" --help; fi >"$lists/text"
  sed -nE 's/^  (-[[:alnum:]])?,? ?(--[a-z-]+).*/\1 \2/p' "$lists/text" | sed 's/^ //' | sort >"$lists/$command.help"
  sed -nE 's/^  ((-[[:alnum:]]), )?(--[a-z-]+).{0,24}  +(.*)/\2:\4\n\3:\4/p' "$lists/text" | grep -v '^:' |
    sort >"$lists/$command.described"
done
"$tool" --help | sed -nE 's/^  ([a-z]+)  +(.*)/\1:\2/p' | sort >"$lists/commands.described"

# The same from the man page, which has the commands of an option in parentheses behind
# it, and those of every command in a section of their own.
awk -v every="grex-lock ${commands[*]}" '
  /^\.Ss / { shared = $0 == ".Ss Every command" }
  /^\.It Fl / {
    names = ""
    for (i = 3; $i ~ /^(,|-?[[:alnum:]][a-z-]*)$/ && $i !~ /^(Ar|Ns|Pq)$/; ++i)
      if ($i != ",") names = names " -" $i
    list = shared ? every : $0
    if (!shared) sub(/.* Pq Cm /, "", list)
    count = split(list, owners, /[ ,]+/)
    for (i = 1; i <= count; ++i) print owners[i] names
  }' "$source/man/grex-lock.1" |
  LC_ALL=C sort -u >"$lists/man"
for command in grex-lock "${commands[@]}"; do
  sed -n "s/^$command //p" "$lists/man" | sort >"$lists/described"
  same "$lists/$command.help" "$lists/described" "$command --help" "man page of $command"
done

# The same from what each shell offers.
described=(commands grex-lock "${commands[@]}")
{ echo 'grex-lock ' && printf '%s -\n' grex-lock "${commands[@]/#/grex-lock }"; } >"$lists/lines"
printf 'grex-lock run --%s \n' tier layout tier-check >"$lists/values"
for shell in bash fish zsh; do
  # The time limit is for a shell that hangs.
  offered() { DESCRIBED=yes timeout 100 "$source/tests/completions/offered.$shell" "$source/completions"; }
  offered <"$lists/lines" >"$lists/offers"
  offered <"$lists/values" | tr '\t' '\n' | sed '/^$/d' | sort >"$lists/$shell.values"
  for command in "${described[@]}"; do
    IFS= read -r offers <&3 || offers=
    tr '\t' '\n' <<<"$offers" | sed '/^--\{0,1\}$/d; /^$/d' | sort >"$lists/offered"
    case $shell in
    bash) cut -d : -f 1 "$lists/$command.described" ;; # which shows no descriptions
    fish) sed 's/:./\U&/' "$lists/$command.described" ;;
    *) cat "$lists/$command.described" ;;
    esac | sort >"$lists/wanted"
    same "$lists/wanted" "$lists/offered" "$command --help" "$shell after $command"
  done 3<"$lists/offers"
done
sed -i 's/:./\U&/' "$lists/zsh.values"
same "$lists/zsh.values" "$lists/fish.values" 'values in zsh' 'values in fish'
exit "$status"
