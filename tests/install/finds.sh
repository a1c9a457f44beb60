#!/usr/bin/env bash
# Checks that the grex-lock installed below PREFIX runs, and that man and the
# shells find what belongs to it.
# usage: finds.sh PREFIX ZSH-DIRECTORY
#
# For bash and fish, PREFIX must be HOME/.local, or PREFIX/share must be in
# XDG_DATA_DIRS. zsh searches ZSH-DIRECTORY.
set -euo pipefail
prefix=$1
zsh_directory=$2
unset "${!GREX_@}" XDG_DATA_HOME XDG_CONFIG_HOME BASH_COMPLETION_USER_DIR
PATH=$prefix/bin:$PATH

fail() {
  echo "finds.sh: $prefix: $*" >&2
  exit 1
}

[[ $(command -v grex-lock) == "$prefix/bin/grex-lock" ]] || fail 'no grex-lock'
[[ $(grex-lock --version) =~ ^grex-lock\ [0-9.]+$ ]] || fail 'grex-lock does not run'

for section in 1 7; do
  # mman complains that there is no index.
  page=$(mman -c -M "$prefix/share/man" "$section" grex-lock 2>/dev/null) || fail "man finds no page in section $section"
  [[ $page == *"GREX-LOCK($section)"* ]] || fail 'the page is not rendered'
done

# shellcheck disable=SC2016 # the inner bash expands it
bash_completes='
  source /usr/share/bash-completion/bash_completion
  _completion_loader grex-lock
  COMP_WORDS=(grex-lock pro) COMP_CWORD=1
  _grex_lock
  echo "$BASH_VERSION ${COMPREPLY[*]}"
  complete -p grex-lock'
[[ $(bash --norc -c "$bash_completes") == *' probe'*'-F _grex_lock '* ]] || fail 'bash does not complete'

# shellcheck disable=SC2016 # zsh expands it
zsh_finds='
  fpath=($1 $fpath)
  autoload -Uz compinit
  compinit -u -D
  autoload -Uz +X $_comps[grex-lock]
  whence -v $_comps[grex-lock]'
[[ $(zsh -f -c "$zsh_finds" zsh "$zsh_directory") == "_grex-lock is a shell function from $zsh_directory/_grex-lock" ]] ||
  fail 'zsh does not find its completion'

[[ $(fish -c 'complete -C "grex-lock pro"') == probe$'\t'* ]] || fail 'fish does not complete'
