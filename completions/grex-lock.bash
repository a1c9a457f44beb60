# bash completion for grex-lock                            -*- shell-script -*-
#
# Works with or without the bash-completion package, and whether or not bash
# breaks words at `=` and `:`. What follows `--` is completed as a command line
# of its own, as well as that package, if it is loaded, knows how to.

# What command $1 has, or grex-lock without a command: `options`, where a `=`
# means that a value has to follow, and the number of its PATHs, `most_paths`.
_grex_lock_describe() {
    local tier='-t= --tier='
    local choosing="$tier -s --shared -x --exclusive --reentrant --tier-check="
    choosing+=' -E= --conflict-exit-code= -q --quiet -v --verbose'
    local several='-l= --lock= --slots= --guard'
    local waiting='-n --nonblock -w= --timeout= --log= --json-status-fd='
    local cluster='--cluster= --cluster-root= --name='
    local recording='--note= --no-record --git-exclude='
    options='-h --help -V --version --json --color= --layout='
    most_paths=0
    case $1 in
    run)
        options+=" $choosing $several $waiting $recording --create $cluster --lease="
        options+=' -c= --command= -o --close -F --no-fork --linger --new-scope --if-lost= --'
        most_paths=any
        ;;
    probe) options+=" $choosing --slots= --guard $cluster" most_paths=1 ;;
    status)
        options+=" -r --recursive --all --held --slots= --watch --graph -v --verbose $cluster --cluster-all"
        most_paths=any
        ;;
    hold)
        options+=" $choosing $several $waiting $recording --create $cluster --lease="
        options+=' --detach --while-pid= --for= --stdin --if-lost= --export'
        most_paths=any
        ;;
    release)
        options+=" $tier --pid= --all --if-held -w= --timeout= -q --quiet -v --verbose"
        options+=" $cluster --force --token="
        most_paths=1
        ;;
    wait) options+=" $choosing $several $waiting $cluster" most_paths=any ;;
    fd) options+=" $choosing $waiting $recording -u --unlock --export --cluster=" ;;
    tiers) options+=' --gitignore' most_paths=1 ;;
    esac
}

# Whether the value of word $1, an option or several in one, is the next word.
_grex_lock_wants_value() {
    local word=$1
    # -nt is -n -t, but -tn is -t with a value.
    while [[ $word == -[!-]?* && " $options " != *" ${word:0:2}= "* ]]; do word=-${word:2}; done
    [[ " $options " == *" $word= "* ]]
}

# The words before the cursor: the command they name, with what it has, how many
# PATHs they give, the option whose value the cursor is in, and where a wrapped
# command begins, all in the caller's variables.
_grex_lock_scan() {
    local i word
    _grex_lock_describe ''
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --)
            command_at=$((i + 1))
            return
            ;;
        -*)
            # A value is the next word, or the one after a `=`, which bash
            # splits off; so it does with the `:` of TIER:PATH.
            if [[ ${COMP_WORDS[i + 1]} == '=' ]]; then
                i=$((i + 2))
            elif _grex_lock_wants_value "$word"; then
                i=$((i + 1))
            else
                continue
            fi
            if [[ ${COMP_WORDS[i + 1]-} == : ]]; then i=$((i + 2)); fi
            if ((i >= COMP_CWORD)); then
                option=$word
                [[ $word == --* ]] || option=-${word: -1}
            fi
            ;;
        *)
            if [[ -n $verb ]]; then
                paths=$((paths + 1))
            else
                verb=$word
                _grex_lock_describe "$verb"
            fi
            ;;
        esac
    done
}

# Offers what compgen finds for $cur, behind what is `before` it in its word.
_grex_lock_fill() {
    mapfile -t COMPREPLY < <(compgen -P "$before" "$@" -- "$cur")
}

_grex_lock_fill_directories() {
    if [[ -n $before ]]; then
        compopt -o nospace
        _grex_lock_fill -S / -d
    else
        compopt -o filenames
        _grex_lock_fill -d
    fi
}

# TIER:PATH, in one word or, where bash splits at the colon, in the last of
# several. Nothing behind a `~`, which bash does not expand after a colon.
_grex_lock_fill_lock() {
    if [[ $cur == : ]]; then
        cur=''
    elif [[ $cur == *:* ]]; then
        before+=${cur%%:*}: cur=${cur#*:}
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} != : ]]; then
        compopt -o nospace
        _grex_lock_fill -S : -W "$tiers"
        return
    fi
    [[ $cur == '~'* ]] || _grex_lock_fill_directories
}

# The last names of these paths, which have no blanks.
_grex_lock_fill_names() {
    _grex_lock_fill -W "${*##*/}"
}

_grex_lock_fill_value() {
    local tiers='workspace-sync semaphore per-pack backend manifest'
    case $option in
    --color) _grex_lock_fill -W 'auto always never' ;;
    --layout) _grex_lock_fill -W 'flat nested both' ;;
    -t | --tier) _grex_lock_fill -W "$tiers" ;;
    -l | --lock) _grex_lock_fill_lock ;;
    --tier-check) _grex_lock_fill -W 'enforce warn off' ;;
    --git-exclude) _grex_lock_fill -W 'auto off' ;;
    --if-lost) _grex_lock_fill -W 'restore warn stop' ;;
    -c | --command) _grex_lock_fill -A command ;;
    --while-pid) _grex_lock_fill_names /proc/[0-9]* ;;
    --log)
        compopt -o filenames
        _grex_lock_fill -f
        ;;
    --export) _grex_lock_fill -W env ;;
    --json-status-fd) _grex_lock_fill_names "/proc/$$/fd"/[0-9] ;;
    esac
}

# The command line that starts at word $1.
_grex_lock_wrapped() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        compopt -o filenames
        _grex_lock_fill -A command
    else
        compopt -o filenames
        _grex_lock_fill -A file
    fi
}

_grex_lock() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=''
    local options most_paths verb='' paths=0 option='' command_at=0
    COMPREPLY=()
    # bash would run a command substitution to find file names.
    if [[ $cur == *'$('* || $cur == *'`'* ]]; then return; fi
    _grex_lock_scan

    if ((command_at > 0)); then
        if [[ $verb == run ]]; then _grex_lock_wrapped "$command_at"; fi
        return
    fi

    if [[ $cur == '=' ]]; then
        cur='' # --tier=per is three words to bash
    elif [[ -z $option && $cur == --*=* ]]; then
        option=${cur%%=*} before=$option= cur=${cur#*=} # or one
    fi

    if [[ -n $option ]]; then
        _grex_lock_fill_value
    elif [[ $cur == -* ]]; then
        _grex_lock_fill -W "${options//=/}"
    elif [[ -z $verb ]]; then
        _grex_lock_fill -W 'run hold release wait fd probe status stack tiers'
    elif [[ $verb == fd ]]; then
        _grex_lock_fill_names "/proc/$$/fd"/[0-9]
    elif [[ $most_paths == any ]] || ((paths < most_paths)); then
        _grex_lock_fill_directories
        if [[ $verb == run && -z $cur ]]; then COMPREPLY+=(--); fi
    fi
}

complete -F _grex_lock grex-lock
