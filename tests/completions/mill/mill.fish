# The completion of a command that grex-lock runs.
complete -c mill -f
complete -c mill -n 'test (count (commandline -opc)) = 1' -a 'grind sift'
complete -c mill -n 'test (commandline -opc | string join " ") = "mill grind"' -a 'rye wheat'
complete -c mill -l coarse
complete -c mill -l fine
