#!/usr/bin/env bash
# Shows the main job of grex-lock on a temporary workspace, which it removes at
# the end; with --cluster, on two hosts with an etcd, one of which is lost.
# usage: ./demo.sh PATH-TO-BINARY [--cluster]
set -euo pipefail

if (($# < 1 || $# > 2)) || [[ ${2:---cluster} != --cluster ]]; then
  echo 'usage: ./demo.sh PATH-TO-BINARY [--cluster]' >&2
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

# Two hosts, each with a name of its own, and an etcd that both reach.
show_cluster() {
  local client peer health job waiter pid hosts='unshare -u'
  ((EUID == 0)) || hosts='unshare -Ur -u'
  cat >~/bin/on <<END
#!/bin/sh
exec $hosts sh -c 'hostname "\$0" && exec "\$@"' "\$@"
END
  chmod +x ~/bin/on
  on build7 true || {
    echo 'demo.sh: no other host name can be set here' >&2
    exit 69
  }
  client=127.0.0.1:$((20000 + RANDOM % 10000)) peer=127.0.0.1:$((30000 + RANDOM % 2000))
  etcd --name demo --data-dir ~/etcd --log-level fatal --listen-client-urls "http://$client" \
    --advertise-client-urls "http://$client" --listen-peer-urls "http://$peer" \
    --initial-advertise-peer-urls "http://$peer" --initial-cluster "demo=http://$peer" \
    >/dev/null 2>&1 &
  export ETCDCTL_API=3 GREX_LOCK_CLUSTER=etcd://$client/ci GREX_LOCK_LEASE=10s
  until health=$(etcdctl --endpoints "$client" endpoint health 2>&1); do
    kill -0 $! || { echo "demo.sh: etcd has ended: $health" >&2 && exit 1; }
  done
  rm ~/bin/grex-lock
  cp -- "$binary" "$binary-etcd" ~/bin/ # the program finds its keeper beside it

  explain 'The locks of both hosts are in etcd. A lost host keeps its locks for 10 seconds.'
  printf '$ export GREX_LOCK_CLUSTER=%s GREX_LOCK_LEASE=%s\n' "$GREX_LOCK_CLUSTER" "$GREX_LOCK_LEASE"

  explain 'On the host build7, a job runs under the lock "app". It gets a token.'
  cat >~/job.sh <<'END'
echo "build7: token $GREX_LOCK_TOKEN"
read -r _
END
  type_in_background 'on build7 grex-lock run --name app -- sh ~/job.sh' ~/build-input ~/build-output
  job=$!
  exec {build_output}<~/build-output
  show_until 'build7: token' "$build_output"

  explain 'On the host build9, another job finds the lock busy.'
  type_in 75 'on build9 grex-lock run -n --name app -- true'

  explain 'It waits. Then build7 is lost, with all that runs there.'
  cat >~/next.sh <<'END'
echo "build9: token $GREX_LOCK_TOKEN"
END
  type_in_background 'on build9 grex-lock run -v --name app -- sh ~/next.sh' /dev/null ~/deploy-output
  waiter=$!
  exec {deploy_output}<~/deploy-output
  show_until 'waiting for' "$deploy_output"
  for pid in $(pgrep -f '^grex-lock run --name app'); do
    # shellcheck disable=SC2046 # one word for each process
    [[ $(readlink "/proc/$pid/exe") != ~/bin/grex-lock ]] || kill -KILL "$pid" $(pgrep -P "$pid" -x grex-lock-etcd)
  done

  wait "$job" 2>/dev/null || true # so that the shell doesn't report how it ended

  explain 'When its lease has ended, build9 gets the lock, and a larger token.'
  cat <&"$deploy_output"
  wait "$waiter"
}

if (($# == 2)); then
  show_cluster
  exit
fi

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
