# bash completion for grex-lock                            -*- shell-script -*-
#
# Works with or without the bash-completion package. What follows `--` is
# completed as a command line of its own, as well as that package, if it is
# loaded, knows how to.

# The words before the cursor: the command they name, how many PATHs they give,
# and where a wrapped command begins, all in the caller's variables.
_grex_lock_scan() {
    local i word
    verb='' paths=0 command_at=0
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --)
            command_at=$((i + 1))
            return
            ;;
        -t | -w | -E | -c | --tier | --timeout | --conflict-exit-code | --command | \
            --note | --tier-check | --color | --layout | -l | --lock | --slots | --json-status-fd)
            # The value is the next word, or the one after a `=`, which bash
            # splits off.
            i=$((i + 1))
            [[ ${COMP_WORDS[i]-} == '=' ]] && i=$((i + 1))
            ;;
        -*) ;;
        *) if [[ -z $verb ]]; then verb=$word; else paths=$((paths + 1)); fi ;;
        esac
    done
}

_grex_lock_fill() {
    mapfile -t COMPREPLY < <(compgen "$@" -- "$cur")
}

# The command line that starts at word $1.
_grex_lock_wrapped() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        compopt -o filenames 2>/dev/null
        _grex_lock_fill -A command
    else
        compopt -o filenames 2>/dev/null
        _grex_lock_fill -A file
    fi
}

_grex_lock() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local verb paths command_at
    COMPREPLY=()
    _grex_lock_scan

    if ((command_at > 0)); then
        [[ $verb == run ]] && _grex_lock_wrapped "$command_at"
        return
    fi

    # --tier=per is three words to bash.
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]] && ((COMP_CWORD > 2)); then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    case $prev in
    --color)
        _grex_lock_fill -W 'auto always never'
        return
        ;;
    --layout)
        _grex_lock_fill -W 'flat nested both'
        return
        ;;
    esac
    case $verb:$prev in
    run:-t | run:--tier | probe:-t | probe:--tier)
        _grex_lock_fill -W 'workspace-sync semaphore per-pack backend manifest'
        return
        ;;
    run:--tier-check | probe:--tier-check)
        _grex_lock_fill -W 'enforce warn off'
        return
        ;;
    run:-c | run:--command)
        _grex_lock_fill -A command
        return
        ;;
    run:-w | run:--timeout | run:--note | run:-E | run:--conflict-exit-code | \
        probe:-E | probe:--conflict-exit-code)
        return
        ;;
    esac

    local options='-h --help --version --json --color --layout'
    local asking='-t --tier -s --shared -x --exclusive --reentrant --tier-check
        --slots -E --conflict-exit-code -q --quiet -v --verbose'
    local taking='-l --lock -n --nonblock -w --timeout --create --note --no-record
        --json-status-fd'
    local running='-c --command -o --close -F --no-fork --linger --new-scope --'
    local most_paths=0
    case $verb in
    run) options+=" $asking $taking $running" most_paths=1 ;;
    probe) options+=" $asking" most_paths=1 ;;
    status) most_paths=9999 ;;
    tiers) most_paths=1 ;;
    esac

    if [[ $cur == -* ]]; then
        _grex_lock_fill -W "$options"
    elif [[ -z $verb ]]; then
        _grex_lock_fill -W 'run probe status stack tiers'
    elif ((paths < most_paths)); then
        compopt -o filenames 2>/dev/null
        _grex_lock_fill -d
    elif [[ $verb == run && -z $cur ]]; then
        COMPREPLY=(--)
    fi
}

complete -F _grex_lock grex-lock
