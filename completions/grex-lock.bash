# bash completion for grex-lock                            -*- shell-script -*-
#
# Works with or without the bash-completion package. What follows `--` is
# completed as a command line of its own, as well as that package, if it is
# loaded, knows how to.

# The words before the cursor: the command they name, how many PATHs they give,
# the option whose value the cursor is in, and where a wrapped command begins,
# all in the caller's variables.
_grex_lock_scan() {
    local i word
    verb='' paths=0 option='' command_at=0
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --)
            command_at=$((i + 1))
            return
            ;;
        -t | -w | -E | -c | -l | --tier | --timeout | --conflict-exit-code | --command | --lock | \
            --note | --tier-check | --color | --layout | --slots | --json-status-fd | --while-pid | --for)
            # The value is the next word, or the one after a `=`, which bash
            # splits off; so it does with the `:` of TIER:PATH.
            i=$((i + 1))
            [[ ${COMP_WORDS[i]-} == '=' ]] && i=$((i + 1))
            if [[ $word == -l || $word == --lock ]] && [[ ${COMP_WORDS[i + 1]-} == : ]]; then
                i=$((i + 2))
            fi
            if ((i >= COMP_CWORD)); then option=$word; fi
            ;;
        -*) ;;
        *) if [[ -z $verb ]]; then verb=$word; else paths=$((paths + 1)); fi ;;
        esac
    done
}

_grex_lock_fill() {
    mapfile -t COMPREPLY < <(compgen "$@" -- "$cur")
}

# TIER:PATH, in one word or, where bash splits at the colon, in the last of
# several. Nothing behind a `~`, which bash does not expand after a colon.
_grex_lock_fill_lock() {
    local tier=''
    if [[ $cur == : ]]; then
        cur=''
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} != : ]]; then
        if [[ $cur != *:* ]]; then
            compopt -o nospace 2>/dev/null
            _grex_lock_fill -S : -W "$tiers"
            return
        fi
        tier=${cur%%:*}: cur=${cur#*:}
    fi
    if [[ $cur == '~'* ]]; then return; fi
    compopt -o nospace 2>/dev/null
    if [[ -z $tier ]]; then
        compopt -o filenames 2>/dev/null
        _grex_lock_fill -d
    else
        _grex_lock_fill -P "$tier" -S / -d
    fi
}

# The last names of these paths, which have no blanks.
_grex_lock_fill_names() {
    _grex_lock_fill -W "${*##*/}"
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
    local cur=${COMP_WORDS[COMP_CWORD]}
    local verb paths option command_at
    local tiers='workspace-sync semaphore per-pack backend manifest'
    COMPREPLY=()
    _grex_lock_scan

    if ((command_at > 0)); then
        [[ $verb == run ]] && _grex_lock_wrapped "$command_at"
        return
    fi

    # --tier=per is three words to bash.
    if [[ $cur == '=' ]]; then cur=''; fi

    case $option in
    '') ;;
    --color) _grex_lock_fill -W 'auto always never' ;;
    --layout) _grex_lock_fill -W 'flat nested both' ;;
    -t | --tier) _grex_lock_fill -W "$tiers" ;;
    -l | --lock) _grex_lock_fill_lock ;;
    --tier-check) _grex_lock_fill -W 'enforce warn off' ;;
    -c | --command) _grex_lock_fill -A command ;;
    --while-pid) _grex_lock_fill_names /proc/[0-9]* ;;
    --json-status-fd) _grex_lock_fill_names "/proc/$$/fd"/[0-9] ;;
    esac
    [[ -z $option ]] || return

    local options='-h --help --version --json --color --layout'
    local tier='-t --tier'
    local choosing="$tier -s --shared -x --exclusive --reentrant --tier-check
        -E --conflict-exit-code -q --quiet -v --verbose"
    local several='-l --lock --slots'
    local waiting='-n --nonblock -w --timeout --json-status-fd'
    local recording='--note --no-record'
    local most_paths=0 any_number=9999
    case $verb in
    run)
        options+=" $choosing $several $waiting $recording --create -c --command -o --close
            -F --no-fork --linger --new-scope --"
        most_paths=$any_number
        ;;
    probe) options+=" $choosing --slots" most_paths=1 ;;
    status) most_paths=$any_number ;;
    hold)
        options+=" $choosing $several $waiting $recording --create --detach --while-pid --for
            --stdin --export"
        most_paths=$any_number
        ;;
    release) options+=" $tier" most_paths=1 ;;
    wait) options+=" $choosing $several $waiting" most_paths=$any_number ;;
    fd) options+=" $choosing $waiting $recording -u --unlock --export" ;;
    tiers) most_paths=1 ;;
    esac

    if [[ $cur == -* ]]; then
        _grex_lock_fill -W "$options"
    elif [[ -z $verb ]]; then
        _grex_lock_fill -W 'run probe status hold release wait fd stack tiers'
    elif [[ $verb == fd ]]; then
        ((paths > 0)) || _grex_lock_fill_names "/proc/$$/fd"/[0-9]
    elif ((paths < most_paths)); then
        compopt -o filenames 2>/dev/null
        _grex_lock_fill -d
        if [[ $verb == run && -z $cur ]]; then COMPREPLY+=(--); fi
    fi
}

complete -F _grex_lock grex-lock
