# A command with a completion of its own, to be wrapped.
complete -c mill -f
complete -c mill -n 'test (count (commandline -opc)) = 1' -a 'grind sift'
complete -c mill -n 'test (commandline -opc | string join " ") = "mill grind"' -a 'rye wheat'
complete -c mill -l coarse
complete -c mill -l fine
