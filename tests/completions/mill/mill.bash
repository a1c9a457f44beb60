# The completion of a command that grex-lock runs.
# shellcheck shell=bash
_mill() {
  local words='' cur=${COMP_WORDS[COMP_CWORD]}
  case $COMP_CWORD in
    1) words='grind sift' ;;
    2) [[ ${COMP_WORDS[1]} != grind ]] || words='rye wheat' ;;
  esac
  [[ $cur != -* ]] || words='--coarse --fine'
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _mill mill
