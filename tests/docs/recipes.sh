#!/usr/bin/env bash
# Checks that the recipes of the README and of docs/recipes.md work. Runs each block as
# it stands, in a home directory of its own, and checks the locks while it runs.
# usage: recipes.sh GREX-LOCK SOURCE-DIRECTORY
#
# One word of two blocks is replaced: the 2m of 'Wait two minutes at most', and the 10m
# of the second block of 'Run a job over ssh'.
#
# The blocks call stand-ins for `make`, `git` and `grex`. These report that they run,
# and then wait for go_on, so nothing here sleeps. Those for ssh and sudo do with their
# command what matters here. A step that takes `time_limit`
# seconds hangs.
set -euo pipefail
tool=$(realpath -- "$1")
pages=("$(realpath -- "$2")"/{README,docs/recipes}.md)
time_limit=30

unset "${!GREX_@}"
# Root logs nothing where others can write.
parent=${TMPDIR:-/tmp}
if ((EUID == 0)) && [[ -w /root ]]; then parent=/root; fi
sandbox=$(mktemp -d "$parent/grex-lock-recipes.XXXXXX")
export HOME=$sandbox PATH=$sandbox/bin:$PATH SHELL=/bin/sh

# Prints the ids of the processes that were started with this home directory.
our_processes() {
  env -u HOME grep -lzxF "HOME=$HOME" /proc/[0-9]*/environ 2>/dev/null | grep -o '[0-9]*' || true
}

clean_up() {
  local pid
  for pid in $(our_processes); do kill -KILL "$pid" 2>/dev/null || true; done
  cd /
  rm -rf -- "$sandbox"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p ~/bin ~/ws/{app,lib,doc,web}
ln -s "$tool" ~/bin/grex-lock
mkfifo ~/reports ~/go ~/notes
exec {reports}<>~/reports {go}<>~/go {notes}<>~/notes
# For start_and_wait.
cat >~/verbose <<'VERBOSE'
grex-lock() { command grex-lock "$1" -v "${@:2}" 2>~/notes; }
VERBOSE
cat >~/bin/make <<'STAND_IN'
#!/bin/sh
echo "${0##*/} runs" >"$HOME/reports"
read -r answer <"$HOME/go"
echo "${0##*/} ends" >"$HOME/reports"
[ "$answer" = well ]
STAND_IN
chmod +x ~/bin/make
cp ~/bin/make ~/bin/git
cat >~/asks <<'ASKS'
#!/bin/sh
grex-lock run ~/ws/app -- true
echo "status $?"
grex-lock run --reentrant ~/ws/app -- echo 'went on'
echo "reentrant $?"
ASKS
chmod +x ~/asks
# `grex sync DIR` of grex 1.1.0, where DIR is a meta pack: it tries the lock
# workspace-sync once, and takes the per-pack lock after the work on the children. It
# does not take slots.
cat >~/bin/grex <<'STAND_IN'
#!/bin/sh
exec 8>>"$2/.grex.sync.lock" 9>>"$2/.grex-lock"
if ! flock -n 8; then
  echo 'grex is busy' >"$HOME/reports"
  exit 3
fi
echo 'grex runs' >"$HOME/reports"
read -r answer <"$HOME/go"
flock 9
echo 'grex ends' >"$HOME/reports"
[ "$answer" = well ] || exit 3
STAND_IN
chmod +x ~/bin/grex

fail() {
  printf 'recipes.sh: %s: %s\n' "$heading" "$*" >&2
  [[ ! -s ~/output ]] || sed 's/^/    /' ~/output >&2
  exit 1
}

# Writes block number $2 under the heading $1 to the file $3.
extract() {
  awk -v heading="### $1" -v wanted="$2" '
    /^## / { in_recipes = $0 == "## Recipes"; here = 0 }
    /^### / { here = in_recipes && $0 == heading }
    here && /^```$/ { inside = 0 }
    inside && count == wanted { print }
    here && /^```(sh|fish|csh)$/ { inside = 1; count++ }
  ' "${pages[@]}" >"$3"
  [[ -s $3 ]] || fail "there is no block $2"
  tested[$1]+=" $2"
}

# Begins the test of a recipe, whose blocks bash runs unless `interpreter` is set after it.
declare -A tested=()
recipe() {
  heading=$1 interpreter=(bash)
  rm -rf ~/ws/*/.grex* ~/ws/.grex* ~/output
}

# Runs a script in the background; its process id is then in $script.
launch() {
  "${interpreter[@]}" "$1" >~/output 2>&1 </dev/null {reports}>&- {go}>&- {notes}>&- &
  script=$!
}

# The same with a block of the recipe.
start() {
  rm -f ~/block # the shell that still runs the last block has it open
  extract "$heading" "${1:-1}" ~/block
  launch ~/block
}

# The same, but returns when the block waits for a lock, which its grex-lock
# reports because it gets -v.
start_and_wait() {
  local note
  # An earlier wait may have been reported more than once.
  while read -r -t 0 -u "$notes"; do read -r -u "$notes"; done
  BASH_ENV=~/verbose start "$@"
  read -r -t "$time_limit" note <&"$notes" || fail 'it did not wait'
  [[ $note == 'grex-lock: waiting for '* ]] || fail "it did not wait: $note"
}

# The commands of a block in the background may run before the block has set its trap.
until_it_traps_sigterm() {
  local caught=0
  until ((0x$caught & 0x4000)); do
    caught=$(sed -n 's/^SigCgt:\t//p' "/proc/$script/status") || fail 'it has ended before its trap'
  done
}

# Waits until a process has ended. If it is gone already, `--while-pid` fails
# with 64.
has_ended() {
  local status=0
  timeout "$time_limit" grex-lock hold --while-pid "$1" ~/bin >/dev/null 2>&1 || status=$?
  ((status == 0 || status == 64))
}

# Waits until the block has ended, and checks its exit status.
ends_with() {
  local status=0
  has_ended "$script" || fail 'it did not end'
  wait "$script" || status=$?
  ((status == $1)) || fail "it ended with $status instead of $1"
}

# Checks the next report of a command that the block calls.
expect_report() {
  local line
  read -r -t "$time_limit" line <&"$reports" || fail "expected the report '$1', but none came"
  [[ $line == "$1" ]] || fail "expected the report '$1', but got '$line'"
}
go_on() { echo "${1:-well}" >&"$go"; }

is_held() {
  local status=0
  grex-lock probe -q "$@" || status=$?
  ((status == 75)) || fail "'probe $*' exited with $status instead of 75"
}
is_free() { grex-lock probe "$@" || fail "'probe $*' did not find it free"; }
becomes_free() { grex-lock wait -w "$time_limit" "$@" || fail "'wait $*' waited too long"; }
printed() { grep -qF -- "$1" ~/output || fail "it did not print '$1'"; }

# Checks that nothing is left locked, in either layout, and that processes that
# still run end.
leaves_nothing() {
  local pid pack
  for pid in $(our_processes); do has_ended "$pid" || fail "process $pid was left behind"; done
  for pack in ~/ws/*/; do is_free --layout both "$pack"; done
  is_free --layout flat -t workspace-sync ~/ws
  is_free --layout flat -t semaphore --slots 1 ~/ws
}

# Another process holds the lock of app until release_app.
hold_app() { grex-lock hold --detach --note 'the other one' ~/ws/app >/dev/null; }
release_app() { grex-lock release ~/ws/app; }

# Checks that git and then make run under the lock of app.
git_and_make_run_locked() {
  expect_report 'git runs'
  is_held ~/ws/app
  go_on
  expect_report 'git ends'
  expect_report 'make runs'
  is_held ~/ws/app
  go_on
  expect_report 'make ends'
  ends_with 0
}

# Checks a script that holds the lock of app for all of it, which its commands know.
locks_the_rest() {
  start 1
  git_and_make_run_locked
  becomes_free ~/ws/app
  leaves_nothing
  cp ~/bin/git ~/git
  cp ~/asks ~/bin/git
  cp ~/asks ~/bin/make
  start 1
  ends_with 0
  printed 'status 75'
  printed 'already held by '
  printed 'reentrant 75' # the hold is no ancestor of make
  printed 'an ancestor seems to hold it'
  becomes_free ~/ws/app
  leaves_nothing
  cp ~/git ~/bin/git
  mv ~/git ~/bin/make
  hold_app
  GREX_LOCK_TIMEOUT=0 start 1
  ends_with 75
  release_app
  leaves_nothing
}

# Checks a script that holds it for git, and not for make.
locks_a_part() {
  start "$1"
  expect_report 'git runs'
  is_held ~/ws/app
  go_on
  expect_report 'git ends'
  expect_report 'make runs'
  is_free ~/ws/app
  go_on
  expect_report 'make ends'
  ends_with 0
  leaves_nothing
}

recipe 'Lock the rest of a script'
locks_the_rest
# The lock ends with the script, even if that is killed.
start
expect_report 'git runs'
is_held ~/ws/app
{ # bash would report the killed process
  kill -KILL "$script"
  wait "$script" || true
} 2>/dev/null
becomes_free ~/ws/app
go_on # the command outlives the script
expect_report 'git ends'
leaves_nothing

recipe 'Lock the steps of a CI job'
mkdir ~/ws/.grex
touch ~/ws/.grex/pack.yaml
export GITHUB_ENV=~/env GITHUB_RUN_ID=7
extract "$heading" 1 ~/steps
sed '/^# last step/,$d' ~/steps >~/first
sed '1,/^# last step/d' ~/steps >~/last
# Runs a step of the job: with the lines of the environment file, a variable by which the
# runner finds what the job leaves, and a shell that stops at an error.
step() {
  local -a variables
  mapfile -t variables <"$GITHUB_ENV"
  interpreter=(env RUNNER_TRACKING_ID=job "${variables[@]}" bash -e)
  launch "$1"
}
end_job() {
  local process
  for process in $(env -u RUNNER_TRACKING_ID grep -lzxF RUNNER_TRACKING_ID=job /proc/[0-9]*/environ 2>/dev/null); do
    process=${process#/proc/}
    kill -KILL "${process%/*}" 2>/dev/null || true
  done
}
begin_job() {
  : >"$GITHUB_ENV"
  step ~/first
  ends_with 0
  (($(wc -l <"$GITHUB_ENV") == 1)) || fail 'it did not append one line'
  is_held ~/ws/app
}
begin_job
grex-lock run -n ~/ws/app -- true 2>~/output || true
printed 'CI job 7'
timeout "$time_limit" grex sync ~/ws || true
expect_report 'grex is busy'
step ~/last
ends_with 0
is_free ~/ws/app
leaves_nothing
# Without a hold to end, the last step has nothing to do.
step ~/last
ends_with 0
# It does not end the hold of another job, if its own has ended.
begin_job
end_job
becomes_free ~/ws/app
hold_app
step ~/last
ends_with 0
is_held ~/ws/app
release_app
leaves_nothing

recipe 'More about the steps of a CI job'
mkdir ~/ws/.grex
touch ~/ws/.grex/pack.yaml
extract "$heading" 1 ~/between
begin_job
step ~/between
expect_report 'git runs'
is_held -t backend ~/ws/lib
go_on
expect_report 'git ends'
expect_report 'make runs'
is_free -t backend ~/ws/lib
is_held ~/ws/app
go_on badly
expect_report 'make ends'
ends_with 1 # and the job is still locked
is_held ~/ws/app
status=0
env "$(<"$GITHUB_ENV")" grex-lock run --reentrant ~/ws/app -- true 2>~/output || status=$?
((status == 75)) || fail "the same lock in a step ended with $status"
printed 'an ancestor seems to hold it'
step ~/last
ends_with 0
is_free ~/ws/app
leaves_nothing
# The runner kills what a job has left behind, and with it the hold.
begin_job
end_job
becomes_free ~/ws/app
step ~/between # the entry is stale, and no obstacle
expect_report 'git runs'
go_on badly
expect_report 'git ends'
ends_with 1
leaves_nothing
unset GITHUB_ENV GITHUB_RUN_ID

recipe 'Skip the work if the pack is busy'
start
expect_report 'make runs'
is_held ~/ws/app
go_on
expect_report 'make ends'
ends_with 0
printed 'built'
start
expect_report 'make runs'
go_on badly
expect_report 'make ends'
ends_with 1
hold_app
start
ends_with 0
[[ $(<~/output) == 'skipped: busy' ]] || fail 'it did not just skip the work'
release_app
interpreter=(grex-lock run ~/ws/app -- bash) # an ancestor holds the lock
start
ends_with 75
printed 'already held by '
leaves_nothing

recipe 'Work beside grex'
mkdir ~/ws/.grex
touch ~/ws/.grex/pack.yaml
start
expect_report 'make runs'
expect_report 'make runs'
is_held ~/ws/app
is_held ~/ws/lib
for ((i = 0; i < 2; i++)); do
  status=0
  timeout "$time_limit" grex sync ~/ws || status=$?
  ((status == 3)) || fail "beside a guarded job, grex ended with $status"
  expect_report 'grex is busy'
  go_on
  expect_report 'make ends'
done
expect_report 'grex runs'
go_on
expect_report 'grex ends'
ends_with 0
leaves_nothing

recipe 'Keep grex sync out of a job'
mkdir ~/ws/.grex
touch ~/ws/.grex/pack.yaml
start
expect_report 'make runs'
is_held ~/ws/app
timeout "$time_limit" grex sync ~/ws || true
expect_report 'grex is busy'
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing

recipe 'Lock several packs'
start
expect_report 'make runs'
is_held ~/ws/app
is_held ~/ws/lib
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing
status=0
grex-lock run ~/ws/app -- grex-lock run ~/ws/lib -- true 2>~/output || status=$?
((status == 76)) || fail "a pack inside another ended with $status"

recipe 'Wait two minutes at most'
start
expect_report 'make runs'
go_on
expect_report 'make ends'
ends_with 0
hold_app
extract "$heading" 1 ~/block
sed -i 's/2m/100ms/' ~/block
status=0
bash ~/block >~/output 2>&1 || status=$?
((status == 75)) || fail "it ended with $status"
(($(wc -l <~/output) == 1)) || fail 'it did not print exactly one line'
printed 'timed out after'
printed "held by pid $(grex-lock status --json ~/ws/app | grep -oP '"pid":\K[0-9]+' | head -n 1) "
grep -q ' since [0-9]' ~/output || fail 'it did not print since when'
printed '[the other one] grex-lock hold'
release_app
leaves_nothing

recipe 'Wait until packs are free'
start
ends_with 0
printed 'app and lib are free'
hold_app
start_and_wait
[[ ! -s ~/output ]] || fail 'it printed something before the pack was free'
release_app
ends_with 0
printed 'app and lib are free'
leaves_nothing

recipe 'Run at most two jobs at a time'
start
expect_report 'make runs'
expect_report 'make runs'
is_held -t semaphore --slots 2 ~/ws
for ((i = 0; i < 2; i++)); do
  go_on
  expect_report 'make ends'
  expect_report 'make runs'
  is_held -t semaphore --slots 2 ~/ws
done
go_on
expect_report 'make ends'
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing

recipe 'Lock a part of a script'
locks_a_part 1

recipe 'Lock at several tiers'
start
expect_report 'make runs'
is_held ~/ws/app
is_held -t workspace-sync ~/ws
is_free ~/ws/lib
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing

recipe 'Lock a line of shell'
start
git_and_make_run_locked
leaves_nothing

recipe 'Call a script that locks, too'
cd ~/ws/app
extract "$heading" 1 build.sh
start 2
expect_report 'git runs'
is_held ~/ws/app
go_on
expect_report 'git ends'
expect_report 'make runs'
is_held ~/ws/app
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing
start 1 # the inner script by itself
expect_report 'make runs'
is_held ~/ws/app
go_on
expect_report 'make ends'
ends_with 0
rm build.sh
cd /
leaves_nothing

recipe 'Clone into a new directory'
start
expect_report 'git runs'
is_held -t backend ~/ws/new
go_on
expect_report 'git ends'
ends_with 0
leaves_nothing

recipe 'Find out which job waits for which'
printf '#!/bin/sh\ncat\n' >~/bin/dot
chmod +x ~/bin/dot
cd
hold_app
start
ends_with 0
printed "$HOME/ws/app/.grex-lock"
printed '[the other one]'
grep -qF 'digraph' ~/waits.svg || fail 'it did not draw the graph'
rm ~/waits.svg
cd /
release_app
leaves_nothing

recipe 'Show the holder of a lock in a script'
start
ends_with 0
[[ ! -s ~/output ]] || fail 'it printed something for a free lock'
hold_app
start
ends_with 0
grep -qE "^[0-9]+ $(id -un) grex-lock hold " ~/output || fail 'it did not print the holder'
release_app
leaves_nothing

recipe 'Find out how long a job waited'
hold_app
start_and_wait
release_app
expect_report 'make runs'
is_held ~/ws/app
go_on
expect_report 'make ends'
ends_with 0
grep -qxE '"waited_ms":[0-9]+' ~/output || fail 'it did not print how long it waited'
leaves_nothing

recipe 'Run grex again if it is busy'
start
expect_report 'grex runs'
go_on
expect_report 'grex ends'
ends_with 0
leaves_nothing
# A shared lock suffices to keep grex out.
grex-lock hold --detach -s -t workspace-sync ~/ws >/dev/null
start
expect_report 'grex is busy'
is_held -t workspace-sync ~/ws
grex-lock release -t workspace-sync ~/ws
expect_report 'grex runs'
go_on
expect_report 'grex ends'
ends_with 0
leaves_nothing
# 3 may be another error.
start
for ((i = 0; i < 5; i++)); do
  expect_report 'grex runs'
  go_on badly
  expect_report 'grex ends'
done
ends_with 3
leaves_nothing

recipe 'One at a time'
start 2
job=$script
expect_report 'make runs'
start_and_wait 1
go_on
expect_report 'make ends'
expect_report 'grex runs'
is_held -t semaphore --slots 1 ~/ws
has_ended "$job" || fail 'the job did not end'
go_on
expect_report 'grex ends'
ends_with 0
leaves_nothing
start 1
sync=$script
expect_report 'grex runs'
start_and_wait 2
go_on
expect_report 'grex ends'
expect_report 'make runs'
has_ended "$sync" || fail 'grex did not end'
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing

recipe 'Run grex under your own lock'
start
expect_report 'grex runs'
is_held -t semaphore --slots 1 ~/ws
go_on
expect_report 'grex ends'
expect_report 'make runs'
is_held -t semaphore --slots 1 ~/ws
is_held ~/ws/app
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing
# What does not work, as the recipe says.
status=0
timeout "$time_limit" grex-lock run -t workspace-sync ~/ws -- grex sync ~/ws || status=$?
((status == 3)) || fail "under its own lock, grex ended with $status"
expect_report 'grex is busy'
# Without -o, the flock of the stand-in would inherit the lock that it waits for.
grex-lock run -o ~/ws -- grex sync ~/ws >~/output 2>&1 &
script=$!
expect_report 'grex runs'
go_on
until grex-lock status --json ~/ws | grep -q '"role":"waiter"'; do
  kill -0 "$script" || fail 'grex did not wait for its own lock'
done
kill "$script"
ends_with 143
leaves_nothing

recipe 'Sync, then build'
mkdir ~/ws/.grex
touch ~/ws/.grex/pack.yaml
start
first=$script
expect_report 'grex runs'
is_held -t semaphore --slots 1 ~/ws
start_and_wait # another one, which must not make the sync fail
second=$script
for script in "$first" "$second"; do
  [[ $script == "$first" ]] || expect_report 'grex runs'
  go_on
  expect_report 'grex ends'
  expect_report 'make runs'
  is_held -t semaphore --slots 1 ~/ws
  is_held ~/ws/app
  status=0
  timeout "$time_limit" grex sync ~/ws || status=$?
  ((status == 3)) || fail "beside the build, grex ended with $status"
  expect_report 'grex is busy'
  go_on
  expect_report 'make ends'
  ends_with 0
done
leaves_nothing
start 2
expect_report 'make runs'
is_held -t semaphore --slots 1 ~/ws
is_held ~/ws/app
is_held -t workspace-sync ~/ws
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing
# What does not work, as the recipe says.
grex-lock hold --detach -t semaphore --slots 1 ~/ws >/dev/null
start_and_wait 2
timeout "$time_limit" grex sync ~/ws || true
expect_report 'grex is busy'
grex-lock release -t semaphore ~/ws
expect_report 'make runs'
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing

recipe 'End a deadlock'
cd
deadlocked=()
for order in 'app lib' 'lib app'; do
  read -r one other <<<"$order"
  echo "flock ~/ws/$one/.grex-lock sh -c 'make; exec flock ~/ws/$other/.grex-lock true'" >~/"$one"
  launch ~/"$one"
  deadlocked+=("$script")
  expect_report 'make runs'
done
for _ in app lib; do
  go_on
  expect_report 'make ends'
done
until grex-lock status --json ~/ws/app | grep -q '"deadlocks"'; do kill -0 "$script" || fail 'it is no deadlock'; done
start
ends_with 0
grep -qF 'color=red' ~/deadlock.svg || fail 'it did not draw the deadlock'
way_out=$(grep -o 'kill [0-9]*' ~/output)
[[ $way_out == "kill "* ]] || fail 'it did not print how to end the deadlock'
$way_out
for pid in "${deadlocked[@]}"; do has_ended "$pid" || fail 'it is a deadlock yet'; done
rm ~/deadlock.svg ~/app ~/lib
cd /
leaves_nothing

recipe 'Find the longest waits'
hold_app
start_and_wait 1
release_app
expect_report 'make runs'
go_on
expect_report 'make ends'
ends_with 0
start 1 # it does not wait, so it is not listed
expect_report 'make runs'
go_on
expect_report 'make ends'
ends_with 0
leaves_nothing
start 2
ends_with 0
pattern="^[0-9]+"$'\t'"$HOME/ws/app/\\.grex-lock"$'\t'"grex-lock"$'\t'"the other one"$'\t'"build of app$"
grep -qE "$pattern" ~/output || fail 'it did not list the wait'
(($(wc -l <~/output) == 1)) || fail 'it did not list just one wait'

recipe 'Return from a cancelled script only when its work has ended'
cp ~/bin/make ~/bin/compiler
printf '#!/bin/sh\ncompiler\ntrue\n' >~/bin/make
start
expect_report 'compiler runs'
until_it_traps_sigterm
kill -TERM "$script"
until grep -qF 'still locked' ~/output; do kill -0 "$script" || fail 'it did not wait'; done
is_held ~/ws/app
go_on
expect_report 'compiler ends'
ends_with 1
cp ~/bin/compiler ~/bin/make
rm ~/bin/compiler
leaves_nothing

recipe 'Lock the rest of a fish script'
interpreter=(fish --no-config)
locks_the_rest
locks_a_part 2

recipe 'Lock the rest of a csh script'
interpreter=(tcsh -f)
locks_the_rest

recipe 'Clean a pack that is locked'
mv ~/bin/git ~/git
git init -q ~/ws/app
touch ~/ws/app/rubbish
start
ends_with 0
[[ ! -e ~/ws/app/rubbish ]] || fail 'git clean has removed nothing'
[[ -e ~/ws/app/.grex-lock && -e ~/ws/app/.grex/.grex-lock ]] || fail 'git clean has removed a lock file'
[[ -z $(git -C ~/ws/app status --porcelain) ]] || fail 'git status shows a lock file'
mv ~/git ~/bin/git
rm -rf ~/ws/app/.git
leaves_nothing

recipe 'Stop a job that has lost its lock'
start
expect_report 'make runs'
rm ~/ws/app/.grex-lock
ends_with 79
printed 'lock lost: '
leaves_nothing
start 2
ends_with 0
printed 'lock lost: '
mkdir ~/ws/app
leaves_nothing

recipe 'Lock a part of a ksh script'
for shell in ksh93 mksh bash; do
  interpreter=("$shell")
  locks_a_part 1
done

# As sshd does, keeps the command on its host if the connection is lost, which is here the
# end of this process. `script` has the terminal of -tt: if it is killed, that hangs up.
recipe 'Run a job over ssh'
cat >~/bin/ssh <<'STAND_IN'
#!/bin/bash
if [[ $1 == -tt ]]; then exec script -qec "$3" /dev/null; fi
setsid sh -c "$2" &
wait $!
STAND_IN
chmod +x ~/bin/ssh
for block in 1 2; do
  start "$block"
  expect_report 'make runs'
  is_held ~/ws/app
  go_on
  expect_report 'make ends'
  ends_with 0
  leaves_nothing
done
# Breaks the connection of a block that waits.
break_connection() {
  local client
  until grex-lock status --json ~/ws/app | grep -q '"role":"waiter"'; do
    kill -0 "$script" || fail 'it did not wait'
  done
  client=$(pgrep -P "$script")
  kill -KILL "$client"
  wait "$script" || true
}
no_waiter() { ! grex-lock status --json ~/ws/app | grep -q '"role":"waiter"'; }
hold_app
start 1
break_connection
until no_waiter; do :; done
release_app
leaves_nothing
hold_app
extract "$heading" 2 ~/limited
sed -i 's/10m/100ms/' ~/limited
status=0
bash ~/limited >~/output 2>&1 || status=$?
((status == 75)) || fail "it ended with $status"
# What does not work, as the recipe says.
start 2
break_connection
release_app
expect_report 'make runs'
go_on
expect_report 'make ends'
leaves_nothing

recipe 'Pass the stack through sudo, su or doas'
cat >~/bin/sudo <<'STAND_IN'
#!/bin/bash
kept=(PATH HOME)
if [[ $1 == --preserve-env=* ]]; then kept+=("${1#*=}"); shift; fi
for name in "${kept[@]}"; do values+=("$name=${!name}"); done
env -i "${values[@]}" "$@"
STAND_IN
chmod +x ~/bin/sudo
printf 'grex-lock run ~/ws/app -- true\necho "status $?"\n' >~/install.sh
cd
start
expect_report 'make runs'
go_on
expect_report 'make ends'
ends_with 0
printed 'already held by '
printed 'status 75'
rm install.sh
cd /
leaves_nothing

recipe 'Run under timeout or systemd'
cat >~/bin/reports-signals <<'STAND_IN'
#!/usr/bin/env python3
import os, signal

def report(line):
    with open(os.environ['HOME'] + '/reports', 'w') as reports: reports.write(line + '\n')

signal.signal(signal.SIGTERM, lambda *_: report('make got SIGTERM'))
report('make runs')
with open(os.environ['HOME'] + '/go') as go: go.readline()
report('make ends')
STAND_IN
chmod +x ~/bin/reports-signals
cp ~/bin/make ~/make
cp ~/bin/reports-signals ~/bin/make
start
expect_report 'make runs'
kill -TERM "$(pgrep -P "$script")" # timeout passes it on as it does its own
expect_report 'make got SIGTERM'
go_on
expect_report 'make ends'
ends_with 0
mv ~/make ~/bin/make
leaves_nothing

# Checks that every block of every recipe was tested.
heading=Recipes
while read -r title count; do
  blocks=$(tr ' ' '\n' <<<"${tested[${title//_/ }]:-}" | sort -u | grep -c .) || true
  ((blocks == count)) || fail "of '${title//_/ }', $blocks of $count blocks were tested"
done < <(awk '
  /^## / { in_recipes = $0 == "## Recipes" }
  in_recipes && /^### / { title = substr($0, 5); gsub(/ /, "_", title); counts[title] = 0 }
  in_recipes && /^```(sh|fish|csh)$/ { counts[title]++ }
  END { for (title in counts) print title, counts[title] }
' "${pages[@]}")
