# fish completion for grex-lock. What follows `--` is completed as a command
# line of its own.

# The command that the words before the cursor name; nothing if none is.
function __grex_lock_verb
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --
                return
            case --color --layout
                set -e words[1]
            case '-*'
            case '*'
                echo $words[1]
                return
        end
        set -e words[1]
    end
end

# Whether the cursor is before `--`, and the command named is one of the
# arguments, or, without arguments, none is named.
function __grex_lock_at
    contains -- -- (commandline -opc)
    and return 1
    set -l verb (__grex_lock_verb)
    if not set -q argv[1]
        test -z "$verb"
    else
        contains -- "$verb" $argv
    end
end

# Whether the cursor is in what `run` is to run.
function __grex_lock_in_wrapped
    contains -- -- (commandline -opc)
    and contains -- run (__grex_lock_verb)
end

# Whether the word at the cursor has a command substitution, which fish would run to
# complete the word as a command.
function __grex_lock_would_run
    string match -q '*(*' -- (commandline -ct | string collect)
end

# Completes what follows the first `--`.
function __grex_lock_wrapped
    __grex_lock_would_run
    and return
    set -l words (commandline -opc)
    set -l first (math (contains -i -- -- $words) + 1)
    set -l line (string join ' ' -- (string escape -- $words[$first..-1]) (commandline -ct))
    complete --do-complete="$line"
end

# The STRING of -c.
function __grex_lock_string
    __grex_lock_would_run
    and return
    complete --do-complete=(commandline -ct | string replace -r '^(--command=|-[A-Za-z]*?c)' '' | string collect)
end

# The tiers, with what each is for; $argv[1] is put behind each name.
function __grex_lock_tiers
    set -l names workspace-sync semaphore per-pack backend manifest
    set -l meanings 'Sync, update and teardown of a workspace (tier 0)' 'A permit of the workspace (tier 1)' \
        'A pack (tier 2, the default)' 'A clone destination (tier 3)' \
        'The event log of a pack or meta directory (tier 4)'
    for i in (seq (count $names))
        printf '%s%s\t%s\n' $names[$i] "$argv[1]" $meanings[$i]
    end
end

# TIER:PATH. Nothing behind a `~`, which fish does not expand after a colon, nor behind a
# quote before the colon: without it, a quoted `;` would end the command.
function __grex_lock_locks
    set -l value (commandline -ct | string replace -r '^(--lock=|-[A-Za-z]*?l)' '')
    set -l parts (string split -m 1 : -- $value)
    if not set -q parts[2]
        __grex_lock_tiers :
        return
    end
    string match -q '~*' -- $parts[2]
    or string match -qr '["\']' -- $parts[1]
    and return
    for directory in (__fish_complete_directories $parts[2] '')
        printf '%s:%s\tDirectory\n' $parts[1] (string split -m 1 \t -- $directory)[1]
    end
end

# The descriptors that this shell has open, below 10.
function __grex_lock_descriptors
    for descriptor in /proc/$fish_pid/fd/?
        basename $descriptor
    end
end

complete -c grex-lock -f

complete -c grex-lock -n __grex_lock_at -a run -d 'Run a command under locks'
complete -c grex-lock -n __grex_lock_at -a probe -d 'Tell whether a lock could be taken now'
complete -c grex-lock -n __grex_lock_at -a status -d 'Tell who holds the locks of a pack, and who waits'
complete -c grex-lock -n __grex_lock_at -a hold -d 'Keep locks without a command, also in the background'
complete -c grex-lock -n __grex_lock_at -a release -d 'End the hold that holds a lock'
complete -c grex-lock -n __grex_lock_at -a wait -d 'Wait until locks are free, keeping nothing'
complete -c grex-lock -n __grex_lock_at -a fd -d 'Lock or unlock a file that the shell has open'
complete -c grex-lock -n __grex_lock_at -a stack -d 'Show the locks that the ancestors of this shell hold'
complete -c grex-lock -n __grex_lock_at -a tiers -d 'List the tiers, their files and what each excludes'

complete -c grex-lock -s h -l help -d 'Show a summary of the options and exit'
complete -c grex-lock -l version -d 'Show the version and exit'
complete -c grex-lock -l json -d 'Answer, or tell the error, as JSON'
complete -c grex-lock -l color -x -a 'auto always never' -d 'Whether status uses colours'
complete -c grex-lock -l layout -x -d 'Where grex keeps its lock files' -a '
    both\t"Both files of each lock (the default)"
    flat\t"Only those of grex 1.1.0 to 1.3.1"
    nested\t"Only those of grex 1.3.2 and later"'

complete -c grex-lock -n '__grex_lock_at run probe hold release wait fd' -s t -l tier -x -d 'Tier of the PATHs' -a '(__grex_lock_tiers)'
complete -c grex-lock -n '__grex_lock_at run probe hold wait fd' -s s -l shared -d 'Share the lock with other sharers'
complete -c grex-lock -n '__grex_lock_at run probe hold wait fd' -s x -l exclusive -d 'Keep everyone else out (default)'
complete -c grex-lock -n '__grex_lock_at run probe hold wait fd' -l reentrant -d 'Go on where an ancestor holds this very lock'
complete -c grex-lock -n '__grex_lock_at run probe hold wait fd' -l tier-check -x -d 'On a reversed order of tiers' -a '
    enforce\t"Fail with status 76 (the default)"
    warn\t"Give a warning and go on"
    off\t"Go on"'
complete -c grex-lock -n '__grex_lock_at run probe hold wait fd' -s E -l conflict-exit-code -x -d 'Exit status where busy, instead of 75'
complete -c grex-lock -n '__grex_lock_at run probe hold wait fd' -s q -l quiet -d 'No word about busy locks, waits, warnings'
complete -c grex-lock -n '__grex_lock_at run probe hold wait fd' -s v -l verbose -d 'Say what is going on, on stderr'

complete -c grex-lock -n '__grex_lock_at run probe hold wait' -l slots -x -d 'Permits at tier semaphore, 0 is unbounded'
complete -c grex-lock -n '__grex_lock_at run probe hold wait' -l guard -d 'Also keep grex sync of the workspaces above out'
complete -c grex-lock -n '__grex_lock_at run hold wait' -s l -l lock -x -d 'One more lock, TIER:PATH' -a '(__grex_lock_locks)'

complete -c grex-lock -n '__grex_lock_at run hold wait fd' -s n -l nonblock -d 'Fail at once where busy'
complete -c grex-lock -n '__grex_lock_at run hold wait fd' -s w -l timeout -x -d 'Give up after 5, 0.25, 250ms, 2m, 1h'
complete -c grex-lock -n '__grex_lock_at run hold wait fd' -l json-status-fd -x -d 'Write events to a descriptor, as JSON' -a '(__grex_lock_descriptors)'

complete -c grex-lock -n '__grex_lock_at run hold' -l create -d 'Make missing directories'
complete -c grex-lock -n '__grex_lock_at run hold fd' -l note -x -d 'Text that status shows'
complete -c grex-lock -n '__grex_lock_at run hold fd' -l no-record -d 'Don\'t write into the lock file who holds it'
complete -c grex-lock -n '__grex_lock_at run hold fd' -l git-exclude -x -d 'Hide lock files from git' -a 'auto off'
complete -c grex-lock -n '__grex_lock_at tiers' -l gitignore -d 'Print patterns that match lock files'

complete -c grex-lock -n '__grex_lock_at run' -s c -l command -x -d 'Run STRING by the shell' -a '(__grex_lock_string)'
complete -c grex-lock -n '__grex_lock_at run' -s o -l close -d 'CMD does not inherit the lock'
complete -c grex-lock -n '__grex_lock_at run' -s F -l no-fork -d 'Become CMD instead of waiting for it'
complete -c grex-lock -n '__grex_lock_at run' -l linger -d 'Stay locked until all that CMD left behind is gone'
complete -c grex-lock -n '__grex_lock_at run' -l new-scope -d 'CMD starts with an empty tier stack'

complete -c grex-lock -n '__grex_lock_at hold' -l detach -d 'Return once locked; a background holder stays'
complete -c grex-lock -n '__grex_lock_at hold' -l while-pid -x -d 'Until that process ends' -a '(__fish_complete_pids)'
complete -c grex-lock -n '__grex_lock_at hold' -l for -x -d 'Until so much time has passed: 5, 0.25, 250ms, 2m, 1h'
complete -c grex-lock -n '__grex_lock_at hold' -l stdin -d 'Until the end of standard input'
complete -c grex-lock -n '__grex_lock_at status' -s r -l recursive -d 'Every lock file below each PATH'
complete -c grex-lock -n '__grex_lock_at status' -l all -d 'Every lock that is held on this machine'
complete -c grex-lock -n '__grex_lock_at status' -l held -d 'Only what is held or waited for'
complete -c grex-lock -n '__grex_lock_at status' -l watch -d 'Again and again, live on a terminal'
complete -c grex-lock -n '__grex_lock_at status' -l graph -d 'Who waits for whom, as Graphviz DOT'
complete -c grex-lock -n '__grex_lock_at status' -s v -l verbose -d 'Also what is absent, and all that is known'

complete -c grex-lock -n '__grex_lock_at fd' -s u -l unlock -d 'Unlock it instead'
complete -c grex-lock -n '__grex_lock_at hold fd' -l export -d 'Print \'export GREX_LOCK_STACK=...\' for eval'

complete -c grex-lock -n '__grex_lock_at run probe status hold release wait tiers' -a '(__fish_complete_directories (commandline -ct))'
complete -c grex-lock -n '__grex_lock_at fd' -a '(__grex_lock_descriptors)' -d 'Descriptor'

complete -c grex-lock -n __grex_lock_in_wrapped -a '(__grex_lock_wrapped)'
