#!/usr/bin/env -S fish --no-config
# Prints what fish offers for each command line on standard input: a line of
# words, with a tab after each.
# usage: offered.fish COMPLETIONS-DIRECTORY
set -l here (path dirname (status filename))
set fish_complete_path $argv[1] $here/mill $fish_complete_path
while read -l line
    for offer in (complete -C $line)
        printf '%s\t' (string split -m 1 \t -- $offer)[1]
    end
    echo
end
