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

# Completes what follows the first `--`.
function __grex_lock_wrapped
    set -l words (commandline -opc)
    set -l first (math (contains -i -- -- $words) + 1)
    set -l line (string join ' ' -- (string escape -- $words[$first..-1]) (commandline -ct))
    complete -C "$line"
end

complete -c grex-lock -f

complete -c grex-lock -n __grex_lock_at -a run -d 'Run a command under a lock'
complete -c grex-lock -n __grex_lock_at -a probe -d 'Tell whether a lock could be taken now'
complete -c grex-lock -n __grex_lock_at -a status -d 'Tell who holds the locks of a pack, and who waits'
complete -c grex-lock -n __grex_lock_at -a stack -d 'Show the locks that the ancestors of this shell hold'
complete -c grex-lock -n __grex_lock_at -a tiers -d 'Show the tiers of locks and their files'

complete -c grex-lock -n 'not __grex_lock_in_wrapped' -s h -l help -d 'Show a summary of the options and exit'
complete -c grex-lock -n 'not __grex_lock_in_wrapped' -l version -d 'Show the version and exit'
complete -c grex-lock -n 'not __grex_lock_in_wrapped' -l json -d 'Answer, or tell the error, as JSON'
complete -c grex-lock -n 'not __grex_lock_in_wrapped' -l color -x -a 'auto always never' -d 'Whether status uses colours'
complete -c grex-lock -n 'not __grex_lock_in_wrapped' -l layout -x -a 'flat nested both' -d 'Where grex keeps its lock files'

complete -c grex-lock -n '__grex_lock_at run probe' -s t -l tier -x -d 'Tier of PATH' -a '
    workspace-sync\t"The whole workspace (tier 0)"
    semaphore\t"A permit of the workspace (tier 1)"
    per-pack\t"A pack (tier 2, the default)"
    backend\t"A clone destination (tier 3)"
    manifest\t"The manifest of a pack or meta directory (tier 4)"'
complete -c grex-lock -n '__grex_lock_at run probe' -s s -l shared -d 'Share the lock with other sharers'
complete -c grex-lock -n '__grex_lock_at run probe' -s x -l exclusive -d 'Keep everyone else out (default)'
complete -c grex-lock -n '__grex_lock_at run probe' -l slots -x -d 'Permits at tier semaphore, 0 is unbounded'
complete -c grex-lock -n '__grex_lock_at run probe' -l reentrant -d 'Go on where an ancestor holds this very lock'
complete -c grex-lock -n '__grex_lock_at run probe' -l tier-check -x -d 'On a reversed order of tiers' -a '
    enforce\t"Fail with status 76 (the default)"
    warn\t"Give a warning and go on"
    off\t"Go on"'
complete -c grex-lock -n '__grex_lock_at run probe' -s E -l conflict-exit-code -x -d 'Exit status where busy, instead of 75'
complete -c grex-lock -n '__grex_lock_at run probe' -s q -l quiet -d 'No word about busy locks, no warnings'
complete -c grex-lock -n '__grex_lock_at run probe' -s v -l verbose -d 'Say what is going on, on stderr'

complete -c grex-lock -n '__grex_lock_at run' -s n -l nonblock -d 'Fail at once where busy'
complete -c grex-lock -n '__grex_lock_at run' -s w -l timeout -x -d 'Give up after 5, 0.25, 250ms, 2m, 1h'
complete -c grex-lock -n '__grex_lock_at run' -s l -l lock -x -d 'One more lock, TIER:PATH'
complete -c grex-lock -n '__grex_lock_at run' -l json-status-fd -x -d 'Write events to a descriptor, as JSON'
complete -c grex-lock -n '__grex_lock_at run' -l create -d 'Make missing directories'
complete -c grex-lock -n '__grex_lock_at run' -l note -x -d 'Text that status shows'
complete -c grex-lock -n '__grex_lock_at run' -l no-record -d 'Don\'t write into the lock file who holds it'
complete -c grex-lock -n '__grex_lock_at run' -s c -l command -x -d 'Run STRING by the shell' -a '(complete -C (commandline -ct))'
complete -c grex-lock -n '__grex_lock_at run' -s o -l close -d 'CMD does not inherit the lock'
complete -c grex-lock -n '__grex_lock_at run' -s F -l no-fork -d 'Become CMD instead of waiting for it'
complete -c grex-lock -n '__grex_lock_at run' -l linger -d 'Stay locked until all that CMD left behind is gone'
complete -c grex-lock -n '__grex_lock_at run' -l new-scope -d 'CMD starts with an empty tier stack'

complete -c grex-lock -n '__grex_lock_at run probe status tiers' -a '(__fish_complete_directories (commandline -ct))'

complete -c grex-lock -n __grex_lock_in_wrapped -a '(__grex_lock_wrapped)'
