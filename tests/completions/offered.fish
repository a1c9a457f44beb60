#!/usr/bin/env -S fish --no-config
# Prints what fish offers for each command line on standard input: a line of
# words, with a tab after each.
# usage: offered.fish COMPLETIONS-DIRECTORY
# If DESCRIBED is set, a colon and its description follow each word.
set -l here (path dirname (status filename))
set fish_complete_path $argv[1] $here/mill $fish_complete_path
while read -l line
    for offer in (complete -C $line)
        set -l parts (string split -m 1 \t -- $offer)
        if set -q DESCRIBED
            printf '%s:%s\t' $parts
        else
            printf '%s\t' $parts[1]
        end
    end
    echo
end
