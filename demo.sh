#!/usr/bin/env bash
# Shows the main job of grex-lock, on a temporary workspace that is removed at
# the end: ./demo.sh PATH-TO-BINARY
set -euo pipefail

if (($# != 1)); then
  echo 'usage: ./demo.sh PATH-TO-BINARY' >&2
  exit 64
fi
binary=$(realpath -- "$1")
if [[ ! -f $binary || ! -x $binary ]]; then
  echo "demo.sh: $1: not a program; './dev build' makes it" >&2
  exit 66
fi

# What the caller has set or locked is not to change what is shown.
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

# So that the commands can be typed as they would be at home.
export HOME=$workspace PATH=$workspace/bin:$PATH
mkdir -p ~/bin ~/ws/app
ln -s "$binary" ~/bin/grex-lock

# The two jobs of the demonstration. The build ends when it is told to.
cat >~/ws/app/build.sh <<'END'
echo 'build: started'
read -r _
echo 'build: done'
END
cat >~/ws/app/deploy.sh <<'END'
echo 'deploy: my turn'
END
mkfifo ~/tell-build ~/build-says ~/deploy-says
exec {tell_build}<>~/tell-build

say() {
  echo
  printf '# %s\n' "$@"
}

# Types a command that has to exit with the given status.
type_in() {
  local expected=$1 command=$2 status=0
  printf '$ %s\n' "$command"
  eval "$command" 2>&1 || status=$?
  ((status == 0)) || printf '(exit status %d)\n' "$status"
  if ((status != expected)); then
    echo "demo.sh: exit status $expected was expected" >&2
    exit 1
  fi
}

# Types a command for the background. Its input and output are FIFOs, and its
# process id is then in $!.
type_in_background() {
  local command=$1 input=$2 output=$3
  printf '$ %s &\n' "$command"
  eval "exec $command" <"$input" >"$output" 2>&1 {tell_build}>&- &
}

# Shows what a job in the background says, up to a line that has the given text.
show_until() {
  local text=$1 from=$2 line
  while IFS= read -r line <&"$from"; do
    printf '%s\n' "$line"
    [[ $line != *"$text"* ]] || return 0
  done
  echo "demo.sh: the job ended before it said '$text'" >&2
  exit 1
}

say 'A job runs under the lock of the pack ~/ws/app.'
type_in 0 'cd ~/ws/app'
type_in_background "grex-lock run --note 'nightly build' ~/ws/app -- sh build.sh" ~/tell-build ~/build-says
build=$!
exec {build_says}<~/build-says
show_until 'build: started' "$build_says"

say 'Who holds the locks of this pack?'
type_in 0 'grex-lock status ~/ws/app'

say 'A second job does not want to wait. It is told who holds the lock.'
type_in 75 'grex-lock run -n ~/ws/app -- sh deploy.sh'

say 'Could the lock be taken now?'
type_in 75 'grex-lock probe ~/ws/app'

say 'A job that waits, but not longer than a minute.'
type_in_background 'grex-lock run -v -w 1m ~/ws/app -- sh deploy.sh' /dev/null ~/deploy-says
deploy=$!
exec {deploy_says}<~/deploy-says
show_until 'waiting for' "$deploy_says"

say 'The first job ends, and the waiting one gets the lock.'
echo >&"$tell_build"
cat <&"$build_says"
wait "$build"
cat <&"$deploy_says"
wait "$deploy"

say 'Locks have an order: the workspace comes before its packs.' \
  'The other way round two jobs could wait for each other, so it is refused.'
type_in 76 'grex-lock run ~/ws/app -- grex-lock run -t workspace-sync ~/ws -- true'
type_in 0 'grex-lock run -t workspace-sync ~/ws -- grex-lock run ~/ws/app -- echo both locks held'

say 'In the end the lock is free.'
type_in 0 'grex-lock probe -v ~/ws/app'
