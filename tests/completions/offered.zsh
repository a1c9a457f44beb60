#!/usr/bin/env -S zsh -f
# Prints what an interactive zsh offers for each command line on standard input:
# a line of words, with a tab after each.
# usage: offered.zsh COMPLETIONS-DIRECTORY
# If DESCRIBED is set, it prints only words that have a description, with a colon
# and the description after each.
# The interactive shell runs on a pseudo-terminal, and reads this file, too.
if [[ $ZSH_EVAL_CONTEXT == toplevel ]]; then
  zmodload zsh/zpty
  export COMPLETIONS=$1 LINES_FILE=$(mktemp) OFFERED_FILE=$(mktemp)
  trap 'rm -f $LINES_FILE $OFFERED_FILE' EXIT
  cat >$LINES_FILE
  zpty shell exec zsh -f -i
  zpty -w shell "source ${(qq)0:a}"
  while zpty -r shell; do :; done >/dev/null  # until it exits
  cat $OFFERED_FILE
  exit
fi

fpath=($COMPLETIONS ${${(%):-%x}:a:h}/mill $fpath)
autoload -Uz compinit && compinit -D -u
zstyle ':completion:*:processes' command 'ps -e'  # not only those of the terminal

# Replaces the builtin to which every completion passes its words.
compadd() {
  # With these options, it only finds the words that match.
  if [[ " ${(j: :)@[1,(i)(-|--)]} " == *' '-[ODA]* ]]; then
    builtin compadd "$@"
    return
  fi
  local -a matches prefix suffix
  zparseopts -E P:=prefix S:=suffix
  builtin compadd -O matches "$@"
  offered+=($prefix[2]$^matches$suffix[2])
  builtin compadd "$@"
}

# Replaces the function to which completions pass arrays of words with descriptions.
if [[ -n $DESCRIBED ]]; then
  _describe() {
    local name OPTIND
    while getopts oOt:12JVx name; do :; done
    shift OPTIND  # also the description of all
    for name; do
      [[ $name != [a-z]* || ${(Pt)name} != array* ]] || offered+=(${(M)${(P)name}:#$PREFIX*})
    done
    return 1
  }
fi

neither_insert_nor_list() { compstate[insert]= compstate[list]= }

# Runs as soon as a line can be edited.
zle-line-init() {
  local line
  while IFS= read -r line; do
    typeset -gaU offered=()
    comppostfuncs=(neither_insert_nor_list)
    BUFFER=$line CURSOR=$#line
    zle list-choices
    print -r -- ${(pj:\t:)offered}
  done <$LINES_FILE >$OFFERED_FILE
  exit
}
zle -N zle-line-init
