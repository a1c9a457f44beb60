#!/usr/bin/env bash
# Shows the main job of grex-lock on a temporary workspace, which it removes at
# the end.
# usage: ./demo.sh PATH-TO-BINARY
set -euo pipefail

if (($# != 1)); then
  echo 'usage: ./demo.sh PATH-TO-BINARY' >&2
  exit 64
fi
binary=$(realpath -- "$1")
if [[ ! -f $binary || ! -x $binary ]]; then
  echo "demo.sh: $1: not a program; use './dev build' to build it" >&2
  exit 66
fi

# The caller's settings and locks must not change what the demo shows.
unset "${!GREX_@}"

workspace=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-demo.XXXXXX")
clean_up() {
  local pids IFS=$'\n' # a signal may find `read` with its own IFS
  pids=$(jobs -p)
  # shellcheck disable=SC2086 # one word for each process
  [[ -z $pids ]] || kill $pids 2>/dev/null || true
  wait
  cd /
  rm -rf -- "$workspace"
}
trap clean_up EXIT

# Lets the demo show the commands as you would type them at home.
export HOME=$workspace PATH=$workspace/bin:$PATH
mkdir -p ~/bin ~/ws/app
ln -s "$binary" ~/bin/grex-lock

# The two jobs of the demo. The build ends when it reads a line.
cat >~/ws/app/build.sh <<'END'
echo 'build: started'
read -r _
echo 'build: done'
END
cat >~/ws/app/deploy.sh <<'END'
echo 'deploy: my turn'
END
mkfifo ~/build-input ~/build-output ~/deploy-output
exec {build_input}<>~/build-input

explain() {
  echo
  printf '# %s\n' "$@"
}

# Prints a command as if it were typed, runs it, and requires an exit status.
type_in() {
  local expected=$1 command=$2 status=0
  printf '$ %s\n' "$command"
  eval "$command" 2>&1 || status=$?
  ((status == 0)) || printf '(exit status %d)\n' "$status"
  if ((status != expected)); then
    echo "demo.sh: expected exit status $expected" >&2
    exit 1
  fi
}

# The same for a command in the background, whose input and output are FIFOs.
# Leaves its process id in $!.
type_in_background() {
  local command=$1 input=$2 output=$3
  printf '$ %s &\n' "$command"
  eval "exec $command" <"$input" >"$output" 2>&1 {build_input}>&- &
}

# Shows the output of a job in the background, up to a line with the given text.
show_until() {
  local text=$1 from=$2 line
  while IFS= read -r line <&"$from"; do
    printf '%s\n' "$line"
    [[ $line != *"$text"* ]] || return 0
  done
  echo "demo.sh: the job ended before it printed '$text'" >&2
  exit 1
}

explain 'A job runs with the pack ~/ws/app locked.'
type_in_background "grex-lock run --note 'nightly build' ~/ws/app -- sh ~/ws/app/build.sh" ~/build-input ~/build-output
build=$!
exec {build_output}<~/build-output
show_until 'build: started' "$build_output"

explain 'Which process holds the lock of this pack?'
type_in 0 'grex-lock status ~/ws/app'

explain 'A second job does not wait. The message shows the holder of the lock.'
type_in 75 'grex-lock run -n ~/ws/app -- sh ~/ws/app/deploy.sh'

explain 'Is the lock free?'
type_in 75 'grex-lock probe ~/ws/app'

explain 'A job waits, but for one minute at most.'
type_in_background 'grex-lock run -v -w 1m ~/ws/app -- sh ~/ws/app/deploy.sh' /dev/null ~/deploy-output
deploy=$!
exec {deploy_output}<~/deploy-output
show_until 'waiting for' "$deploy_output"

explain 'The first job ends, and the waiting job gets the lock.'
echo >&"$build_input"
cat <&"$build_output"
wait "$build"
cat <&"$deploy_output"
wait "$deploy"

explain 'Locks have an order: the workspace comes before its packs.' \
  'In the other order, two jobs could wait for each other, so it is refused.'
type_in 76 'grex-lock run ~/ws/app -- grex-lock run -t workspace-sync ~/ws -- true'
type_in 0 'grex-lock run -t workspace-sync ~/ws -- grex-lock run ~/ws/app -- echo both locks held'

explain 'At the end, the lock is free.'
type_in 0 'grex-lock probe -v ~/ws/app'
