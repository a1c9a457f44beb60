#!/usr/bin/env bash
# Prints what an interactive bash offers for each command line on standard
# input: a line of words, with a tab after each. readline itself splits the
# lines and calls the completion.
# usage: offered.bash COMPLETIONS-DIRECTORY
# If BARE is set, bash does not load the package bash-completion, and does not
# break words at `=` and `:`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rc=$(mktemp)
trap 'rm -f "$rc"' EXIT

cat >"$rc" <<'END_OF_RC'
if [[ -n ${BARE-} ]]; then
  COMP_WORDBREAKS=${COMP_WORDBREAKS//[=:]/}
else
  source /usr/share/bash-completion/bash_completion
  source "$MILL"
fi
source "$COMPLETIONS/grex-lock.bash"

# Prints what is offered, and leaves nothing for readline to insert.
print_offers() {
  _grex_lock "$@"
  [[ ${FUNCNAME[*]:1} != *print_offers* ]] || return  # grex-lock wraps grex-lock
  ((${#COMPREPLY[@]} == 0)) || printf '%s\t' "${COMPREPLY[@]}" >&3
  echo >&3
  COMPREPLY=()
}
complete -F print_offers grex-lock
END_OF_RC

# A tab after each line completes it, and Ctrl-U clears it. A session of its own
# keeps the shell away from the terminal.
sed 's/$/\t\x15/' | tr -d '\n' |
  INPUTRC=/dev/null COMPLETIONS=$1 MILL=$here/mill/mill.bash setsid --wait bash --noprofile --rcfile "$rc" -i 3>&1 >/dev/null 2>&1
