#!/usr/bin/env bash
# The recipes of the README do what they say: each block is run as it stands, in
# a home directory of its own, and looked at from outside while it runs.
# usage: recipes.sh GREX-LOCK SOURCE-DIRECTORY
#
# One word of one block is replaced: the 2m of 'Wait at most two minutes'.
#
# What the blocks call, `make` and `git`, says that it runs, and goes on when it
# is told to. So nothing here sleeps; what takes `patience` seconds has hung.
set -euo pipefail
tool=$(realpath -- "$1")
readme=$(realpath -- "$2")/README.md
patience=30

unset "${!GREX_@}"
sandbox=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-recipes.XXXXXX")
export HOME=$sandbox PATH=$sandbox/bin:$PATH SHELL=/bin/sh

# The processes that were started with this home directory, by their numbers.
ours() {
  env -u HOME grep -lzxF "HOME=$HOME" /proc/[0-9]*/environ 2>/dev/null | grep -o '[0-9]*' || true
}

clean_up() {
  local pid
  for pid in $(ours); do kill -KILL "$pid" 2>/dev/null || true; done
  cd /
  rm -rf -- "$sandbox"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p ~/bin ~/ws/{app,lib,doc,web}
ln -s "$tool" ~/bin/grex-lock
mkfifo ~/says ~/go ~/notes
exec {says}<>~/says {go}<>~/go {notes}<>~/notes
# For start_and_wait.
cat >~/verbose <<'VERBOSE'
grex-lock() { command grex-lock "$1" -v "${@:2}" 2>~/notes; }
VERBOSE
cat >~/bin/make <<'STAND_IN'
#!/bin/sh
echo "${0##*/} runs" >"$HOME/says"
read -r answer <"$HOME/go"
echo "${0##*/} ends" >"$HOME/says"
[ "$answer" = well ]
STAND_IN
chmod +x ~/bin/make
cp ~/bin/make ~/bin/git

fail() {
  printf 'recipes.sh: %s: %s\n' "$heading" "$*" >&2
  [[ ! -s ~/output ]] || sed 's/^/    /' ~/output >&2
  exit 1
}

# Block number $2, or the first, under the heading $1, into the file $3.
extract() {
  awk -v heading="### $1" -v wanted="$2" '
    /^## / { in_recipes = $0 == "## Recipes"; here = 0 }
    /^### / { here = in_recipes && $0 == heading }
    here && /^```$/ { inside = 0 }
    inside && count == wanted { print }
    here && /^```sh$/ { inside = 1; count++ }
  ' "$readme" >"$3"
  [[ -s $3 ]] || fail "there is no block $2"
  tried[$1]+=" $2"
}

# The recipe that the next lines are about.
declare -A tried=()
recipe() {
  heading=$1
  rm -rf ~/ws/*/.grex* ~/ws/.grex* ~/output
}

# Runs a block of the recipe in the background; its process id is then in $script.
start() {
  extract "$heading" "${1:-1}" ~/block
  bash ~/block >~/output 2>&1 </dev/null {says}>&- {go}>&- {notes}>&- &
  script=$!
}

# The same, up to where it waits for a lock: its grex-lock is told to be verbose.
start_and_wait() {
  local note
  # A wait before this one, if it lasted, was told of more than once.
  while read -r -t 0 -u "$notes"; do read -r -u "$notes"; done
  BASH_ENV=~/verbose start
  read -r -t "$patience" note <&"$notes" || fail 'it did not wait'
  [[ $note == 'grex-lock: waiting for '* ]] || fail "it did not wait: $note"
}

# A process ends. `--while-pid` says 64 of one that is gone already.
has_ended() {
  local status=0
  timeout "$patience" grex-lock hold --while-pid "$1" ~/bin >/dev/null 2>&1 || status=$?
  ((status == 0 || status == 64))
}

# The block ends, with a status.
ends_with() {
  local status=0
  has_ended "$script" || fail 'it did not end'
  wait "$script" || status=$?
  ((status == $1)) || fail "it ended with $status instead of $1"
}

# The next word of a command that the block calls.
says() {
  local line
  read -r -t "$patience" line <&"$says" || fail "nothing was said instead of '$1'"
  [[ $line == "$1" ]] || fail "'$line' was said instead of '$1'"
}
go_on() { echo "${1:-well}" >&"$go"; }

is_held() {
  local status=0
  grex-lock probe -q "$@" || status=$?
  ((status == 75)) || fail "'probe $*' said $status while it had to be held"
}
is_free() { grex-lock probe "$@" || fail "'probe $*' said that it is not free"; }
gets_free() { grex-lock wait -w "$patience" "$@" || fail "'wait $*' waited too long"; }
printed() { grep -qF -- "$1" ~/output || fail "it did not say '$1'"; }

# Nothing is left locked, in either layout, and what still runs is on its way
# out.
leaves_nothing() {
  local pid pack
  for pid in $(ours); do has_ended "$pid" || fail "process $pid was left behind"; done
  for pack in ~/ws/*/; do is_free --layout both "$pack"; done
  is_free --layout flat -t workspace-sync ~/ws
  is_free --layout flat -t semaphore --slots 1 ~/ws
}

# Somebody else's lock of the app, until let_go.
hold_app() { grex-lock hold --detach --note 'the other one' ~/ws/app >/dev/null; }
let_go() { grex-lock release ~/ws/app; }

recipe 'Lock the rest of a script'
start
says 'git runs'
is_held ~/ws/app
go_on
says 'git ends'
says 'make runs'
is_held ~/ws/app
go_on
says 'make ends'
ends_with 0
gets_free ~/ws/app
leaves_nothing
# Whatever ends the script ends the lock.
start
says 'git runs'
is_held ~/ws/app
{ # else bash would tell
  kill -KILL "$script"
  wait "$script" || true
} 2>/dev/null
gets_free ~/ws/app
go_on # the command outlives the script
says 'git ends'
leaves_nothing
# A script that does not get the lock goes no further.
hold_app
GREX_LOCK_TIMEOUT=0 start
ends_with 75
let_go
leaves_nothing

recipe 'Lock the rest of a script, and tell its commands'
cat >~/bin/make <<'ASKS'
#!/bin/sh
grex-lock run ~/ws/app -- true
echo "status $?"
grex-lock run --reentrant ~/ws/app -- echo 'went on'
ASKS
start
ends_with 0
printed 'status 75'
printed 'already held by ancestor'
printed 'went on'
gets_free ~/ws/app
leaves_nothing
hold_app
GREX_LOCK_TIMEOUT=0 start
ends_with 75
let_go
leaves_nothing
cp ~/bin/git ~/bin/make

recipe 'Lock a part of a script'
start
says 'git runs'
is_held ~/ws/app
go_on
says 'git ends'
says 'make runs'
is_free ~/ws/app
go_on
says 'make ends'
ends_with 0
leaves_nothing

recipe 'A CI job in several steps'
start 1
ends_with 0
is_held ~/ws/app
grex-lock run -n ~/ws/app -- true 2>~/output || true
printed 'CI job'
start 2
ends_with 0
is_free ~/ws/app
leaves_nothing
# With no hold to end, the last step says so.
start 2
ends_with 69

recipe 'At most two jobs at a time'
start
says 'make runs'
says 'make runs'
is_held -t semaphore --slots 2 ~/ws
for ((i = 0; i < 2; i++)); do
  go_on
  says 'make ends'
  says 'make runs'
  is_held -t semaphore --slots 2 ~/ws
done
go_on
says 'make ends'
go_on
says 'make ends'
ends_with 0
leaves_nothing

recipe 'Several packs'
start 1
says 'make runs'
is_held ~/ws/app
is_held ~/ws/lib
go_on
says 'make ends'
ends_with 0
leaves_nothing
start 2
says 'make runs'
is_held ~/ws/app
is_held -t workspace-sync ~/ws
is_free ~/ws/lib
go_on
says 'make ends'
ends_with 0
leaves_nothing

recipe 'A script that calls a script'
cd ~/ws/app
extract "$heading" 1 build.sh
start 2
says 'git runs'
is_held ~/ws/app
go_on
says 'git ends'
says 'make runs'
is_held ~/ws/app
go_on
says 'make ends'
ends_with 0
leaves_nothing
start 1 # the inner script by itself
says 'make runs'
is_held ~/ws/app
go_on
says 'make ends'
ends_with 0
rm build.sh
cd /
leaves_nothing

recipe 'Skip the work where someone else does it'
start
says 'make runs'
is_held ~/ws/app
go_on
says 'make ends'
ends_with 0
printed 'built'
start
says 'make runs'
go_on badly
says 'make ends'
ends_with 0
printed 'failed'
hold_app
start
ends_with 0
[[ $(<~/output) == 'busy, skipped' ]] || fail 'it did not just skip the work'
let_go
leaves_nothing

recipe 'Wait at most two minutes, then say who holds it'
start
says 'make runs'
go_on
says 'make ends'
ends_with 0
hold_app
extract "$heading" 1 ~/block
sed -i 's/2m/100ms/' ~/block
status=0
bash ~/block >~/output 2>&1 || status=$?
((status == 75)) || fail "it ended with $status"
(($(wc -l <~/output) == 1)) || fail 'it did not say it in one line'
printed 'timed out after'
printed "held by pid $(grex-lock status --json ~/ws/app | grep -oP '"pid":\K[0-9]+' | head -n 1) "
printed ' since 20'
printed 'grex-lock hold --detach'
printed '[the other one]'
let_go
leaves_nothing

recipe 'Be told when packs are free'
start
ends_with 0
printed 'app and lib are free'
hold_app
start_and_wait
[[ ! -s ~/output ]] || fail 'it spoke before the pack was free'
let_go
ends_with 0
printed 'app and lib are free'
leaves_nothing

recipe 'Know how long jobs waited'
hold_app
start_and_wait
let_go
says 'make runs'
is_held ~/ws/app
go_on
says 'make ends'
ends_with 0
grep -qxE '"waited_ms":[0-9]+' ~/output || fail 'it did not say how long it waited'
leaves_nothing

recipe 'Keep out every release of grex'
start
says 'make runs'
is_held --layout flat ~/ws/app
is_held --layout nested ~/ws/app
go_on
says 'make ends'
ends_with 0
leaves_nothing

# No recipe was forgotten.
heading=Recipes
while read -r title count; do
  blocks=$(tr ' ' '\n' <<<"${tried[${title//_/ }]:-}" | sort -u | grep -c .) || true
  ((blocks == count)) || fail "of '${title//_/ }', $blocks of $count blocks were tried"
done < <(awk '
  /^## / { in_recipes = $0 == "## Recipes" }
  in_recipes && /^### / { title = substr($0, 5); gsub(/ /, "_", title); counts[title] = 0 }
  in_recipes && /^```sh$/ { counts[title]++ }
  END { for (title in counts) print title, counts[title] }
' "$readme")
