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
    set -l meanings 'Whole workspace' 'One of N slots of a workspace' 'One pack (default)' 'Clone destination' \
        'Event log of a pack'
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

complete -c grex-lock -n __grex_lock_at -a run -d 'Take locks, run a command, and release them when it ends'
complete -c grex-lock -n __grex_lock_at -a hold -d 'Take locks and keep them without a command'
complete -c grex-lock -n __grex_lock_at -a release -d 'End a \'hold\' and release its locks'
complete -c grex-lock -n __grex_lock_at -a wait -d 'Wait until locks are free, without keeping them'
complete -c grex-lock -n __grex_lock_at -a fd -d 'Lock or unlock files that the calling shell has open'
complete -c grex-lock -n __grex_lock_at -a probe -d 'Check whether a lock is free'
complete -c grex-lock -n __grex_lock_at -a status -d 'Show which processes hold locks or wait for them'
complete -c grex-lock -n __grex_lock_at -a stack -d 'Show the locks held by ancestors of this process'
complete -c grex-lock -n __grex_lock_at -a tiers -d 'List the tiers, their lock files and what each excludes'

complete -c grex-lock -s h -l help -d 'Show this help and exit'
complete -c grex-lock -s V -l version -d 'Show the version and exit'
complete -c grex-lock -n '__grex_lock_at run' -l json -d 'Print errors as JSON'
complete -c grex-lock -n 'not __grex_lock_at run' -l json -d 'Print results and errors as JSON'
complete -c grex-lock -l color -x -a 'auto always never' -d 'Use colours: auto (default), always, never'
complete -c grex-lock -l layout -x -d 'Lock files to use: both (default), flat, nested' -a '
    both\t"Every grex release since 1.1.0 (default)"
    flat\t"Grex 1.1.0 to 1.3.1 only"
    nested\t"Grex 1.3.2 and later only"'

complete -c grex-lock -n '__grex_lock_at run hold wait' -s t -l tier -x -d 'Tier of each PATH (default: per-pack)' -a '(__grex_lock_tiers)'
complete -c grex-lock -n '__grex_lock_at release probe' -s t -l tier -x -d 'Tier of PATH (default: per-pack)' -a '(__grex_lock_tiers)'
complete -c grex-lock -n '__grex_lock_at fd' -s t -l tier -x -d 'Tier of files not used by grex (default: per-pack)' -a '(__grex_lock_tiers)'
complete -c grex-lock -n '__grex_lock_at run hold wait' -s l -l lock -x -d 'Lock PATH at TIER as well; repeatable' -a '(__grex_lock_locks)'
complete -c grex-lock -n '__grex_lock_at run hold' -l guard -d 'Keep grex sync, update and teardown out, too'
complete -c grex-lock -n '__grex_lock_at wait probe' -l guard -d 'Include the workspace locks of \'run --guard\''
complete -c grex-lock -n '__grex_lock_at run hold wait probe status' -l slots -x -d 'Slots at tier semaphore; 0 means no limit'
complete -c grex-lock -n '__grex_lock_at run hold wait fd probe' -s s -l shared -d 'Allow other shared locks'
complete -c grex-lock -n '__grex_lock_at run hold wait fd probe' -s x -l exclusive -d 'Allow no other lock (default)'
complete -c grex-lock -n '__grex_lock_at run hold' -l create -d 'Create missing directories'

complete -c grex-lock -n '__grex_lock_at run hold wait fd probe release status' -l cluster -x -d 'Lock in etcd, too: etcds://HOST/NAMESPACE, or none' -a none
complete -c grex-lock -n '__grex_lock_at run hold wait probe release status' -l name -x -d 'The lock\'s name in the cluster'
complete -c grex-lock -n '__grex_lock_at run hold wait probe release status' -l cluster-root -x -d 'Name locks by their PATHs relative to DIR' -a '(__fish_complete_directories (commandline -ct))'
complete -c grex-lock -n '__grex_lock_at run hold' -l lease -x -d 'Lifetime of a lost machine\'s locks (default: 30s)'

complete -c grex-lock -n '__grex_lock_at run hold wait fd' -s n -l nonblock -d 'Fail immediately if busy'
complete -c grex-lock -n '__grex_lock_at run hold wait fd' -s w -l timeout -x -d 'Give up after 5, 0.25, 250ms, 2m or 1h'
complete -c grex-lock -n '__grex_lock_at run hold wait fd probe' -s E -l conflict-exit-code -x -d 'Exit status if busy (default: 75)'
complete -c grex-lock -n '__grex_lock_at run hold wait fd probe' -l reentrant -d 'Continue if an ancestor holds the same lock'
complete -c grex-lock -n '__grex_lock_at run hold wait fd probe' -l tier-check -x -d 'On a wrong order: enforce (default), warn, off' -a '
    enforce\t"Fail with status 76 (default)"
    warn\t"Print a warning and continue"
    off\t"Continue"'

complete -c grex-lock -n '__grex_lock_at run hold fd' -l note -x -d 'Text shown by status and to waiting users'
complete -c grex-lock -n '__grex_lock_at run hold fd' -l no-record -d 'Don\'t write a holder record to the lock file'
complete -c grex-lock -n '__grex_lock_at run hold fd' -l git-exclude -x -d 'Hide lock files from git: auto (default), off' -a 'auto off'
complete -c grex-lock -n '__grex_lock_at run hold wait fd' -l log -r -F -d 'Append events to FILE, as JSON'
complete -c grex-lock -n '__grex_lock_at run hold wait fd' -l json-status-fd -x -d 'Write events to descriptor FD, as JSON' -a '(__grex_lock_descriptors)'
complete -c grex-lock -n '__grex_lock_at run hold wait fd probe' -s q -l quiet -d 'Don\'t report busy locks, waits or warnings'
complete -c grex-lock -n '__grex_lock_at run hold wait fd probe release' -s v -l verbose -d 'Report each step on stderr'

complete -c grex-lock -n '__grex_lock_at run' -s c -l command -x -d 'Run STRING with $SHELL instead of CMD' -a '(__grex_lock_string)'
complete -c grex-lock -n '__grex_lock_at run' -s o -l close -d 'Don\'t let CMD inherit the lock'
complete -c grex-lock -n '__grex_lock_at run' -s F -l no-fork -d 'Replace grex-lock with CMD'
complete -c grex-lock -n '__grex_lock_at run' -l linger -d 'Stay locked until CMD\'s processes have ended'
complete -c grex-lock -n '__grex_lock_at run' -l new-scope -d 'Start CMD with an empty tier stack'
complete -c grex-lock -n '__grex_lock_at run hold' -l if-lost -x -d 'On a lost lock file: restore (default), warn, stop' -a 'restore warn stop'

complete -c grex-lock -n '__grex_lock_at hold' -l while-pid -x -d 'Until process PID ends' -a '(__fish_complete_pids)'
complete -c grex-lock -n '__grex_lock_at hold' -l for -x -d 'Until DURATION has passed'
complete -c grex-lock -n '__grex_lock_at hold' -l stdin -d 'Until standard input ends'
complete -c grex-lock -n '__grex_lock_at hold' -l detach -d 'Return once locked; keep holding in the background'
complete -c grex-lock -n '__grex_lock_at hold fd' -l export -d 'Print the stack, for eval or an environment file'
complete -c grex-lock -n '__grex_lock_at fd' -s u -l unlock -d 'Unlock the files instead'

complete -c grex-lock -n '__grex_lock_at release' -l pid -x -d 'End only the hold of process PID' -a '(__fish_complete_pids)'
complete -c grex-lock -n '__grex_lock_at release' -l all -d 'End every hold of the lock, if there are several'
complete -c grex-lock -n '__grex_lock_at release' -l if-held -d 'Succeed if no process holds the lock'
complete -c grex-lock -n '__grex_lock_at release' -l force -d 'End the holder\'s job, on any machine'
complete -c grex-lock -n '__grex_lock_at release' -l token -x -d 'With --force: only if the holder has this token'
complete -c grex-lock -n '__grex_lock_at release' -s w -l timeout -x -d 'Give up after DURATION (10s; --force: its lease)'
complete -c grex-lock -n '__grex_lock_at release' -s q -l quiet -d 'Don\'t report what could not be released'

complete -c grex-lock -n '__grex_lock_at status' -s r -l recursive -d 'Show every lock file below each PATH'
complete -c grex-lock -n '__grex_lock_at status' -l all -d 'Show every grex lock held on this machine'
complete -c grex-lock -n '__grex_lock_at status' -l held -d 'Show only locks that are held or waited for'
complete -c grex-lock -n '__grex_lock_at status' -l cluster-all -d 'Show every lock in the cluster\'s namespace'
complete -c grex-lock -n '__grex_lock_at status' -l watch -d 'Repeat, live on a terminal (default: every 2 s)'
complete -c grex-lock -n '__grex_lock_at status' -l graph -d 'Draw who waits for whom (Graphviz DOT)'
complete -c grex-lock -n '__grex_lock_at status' -s v -l verbose -d 'Show when locks were taken, absent locks, and more'
complete -c grex-lock -n '__grex_lock_at tiers' -l gitignore -d 'Print patterns that match lock files, for git'

complete -c grex-lock -n '__grex_lock_at run probe status hold release wait tiers' -a '(__fish_complete_directories (commandline -ct))'
complete -c grex-lock -n '__grex_lock_at fd' -a '(__grex_lock_descriptors)' -d 'Descriptor'

complete -c grex-lock -n __grex_lock_in_wrapped -a '(__grex_lock_wrapped)'
