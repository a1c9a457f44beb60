#!/usr/bin/env bash
# Checks that `cmake --install` installs exactly the files of grex-lock, that man,
# the shells and the program find them, and that the command in docs/install.md
# uninstalls them.
# usage: stage.sh BUILD-DIRECTORY SOURCE-DIRECTORY
set -euo pipefail
build=$(realpath -- "$1")
source=$(realpath -- "$2")
finds=$source/tests/install/finds.sh
# It is not built without libcurl.
keeper=missing and_keeper=
if [[ -e $build/grex-lock-etcd ]]; then
  keeper=found and_keeper=$'\n-rwxr-xr-x libexec/grex-lock/grex-lock-etcd'
fi

stage=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-stage.XXXXXX")
# It lists what was last installed from this build. The test puts it back, so
# that it still lists what the user installed.
manifest=$build/install_manifest.txt
[[ ! -e $manifest ]] || cp -p "$manifest" "$stage/manifest"
clean_up() {
  rm -f -- "$manifest"
  [[ ! -e $stage/manifest ]] || mv "$stage/manifest" "$manifest"
  rm -rf -- "$stage"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
umask 022

# Checks that the files below a directory are those listed on standard input, with
# the same modes.
has_exactly() {
  diff -u --label expected - --label "$1" <(cd "$1" && find . ! -type d -printf '%M %P\n' | LC_ALL=C sort -k 2)
}

# Everything, into a home directory whose shells need no configuration.
export HOME=$stage/home
unset XDG_DATA_DIRS
cmake --install "$build" --prefix "$HOME/.local" >/dev/null
has_exactly "$HOME/.local" <<END
-rwxr-xr-x bin/grex-lock$and_keeper
-rw-r--r-- share/bash-completion/completions/grex-lock
-rw-r--r-- share/doc/grex-lock/CHANGELOG.md
-rw-r--r-- share/doc/grex-lock/LICENSE-APACHE
-rw-r--r-- share/doc/grex-lock/LICENSE-MIT
-rw-r--r-- share/doc/grex-lock/README.md
-rw-r--r-- share/doc/grex-lock/SECURITY.md
-rw-r--r-- share/doc/grex-lock/docs/architecture.md
-rw-r--r-- share/doc/grex-lock/docs/cluster.md
-rw-r--r-- share/doc/grex-lock/docs/how-it-works.md
-rw-r--r-- share/doc/grex-lock/docs/install.md
-rw-r--r-- share/doc/grex-lock/docs/json.md
-rw-r--r-- share/doc/grex-lock/docs/json.schema.json
-rw-r--r-- share/doc/grex-lock/docs/performance.md
-rw-r--r-- share/doc/grex-lock/docs/pictures/ladder.svg
-rw-r--r-- share/doc/grex-lock/docs/pictures/life.svg
-rw-r--r-- share/doc/grex-lock/docs/pictures/pile-up.svg
-rw-r--r-- share/doc/grex-lock/docs/pictures/rooms.svg
-rw-r--r-- share/doc/grex-lock/docs/recipes.md
-rw-r--r-- share/doc/grex-lock/docs/testing.md
-rw-r--r-- share/doc/grex-lock/docs/upgrading.md
-rw-r--r-- share/fish/vendor_completions.d/grex-lock.fish
-rw-r--r-- share/man/man1/grex-lock.1
-rw-r--r-- share/man/man7/grex-lock.7
-rw-r--r-- share/zsh/site-functions/_grex-lock
END
"$finds" "$HOME/.local" "$HOME/.local/share/zsh/site-functions"
"$source/tests/install/keeper.sh" "$HOME/.local" "$keeper"
"$source/tests/docs/links.py" "$HOME/.local/share/doc/grex-lock"

# Uninstalling removes what was installed, and nothing else.
touch "$HOME/.local/bin/other"
uninstall=$(grep -m 1 'install_manifest\.txt' "$source/docs/install.md")
bash -euo pipefail -c "${uninstall//build\/release/\"\$1\"}" uninstall "$build"
echo '-rw-r--r-- bin/other' | has_exactly "$HOME/.local"

# As a packager does it: below DESTDIR, first everything, then one component, and another.
DESTDIR=$stage/root cmake --install "$build" --prefix /usr/local >/dev/null
XDG_DATA_DIRS=$stage/root/usr/local/share "$finds" "$stage/root/usr/local" "$stage/root/usr/local/share/zsh/site-functions"
DESTDIR=$stage/part cmake --install "$build" --prefix /opt --component program >/dev/null
echo '-rwxr-xr-x opt/bin/grex-lock' | has_exactly "$stage/part"
"$source/tests/install/keeper.sh" "$stage/part/opt" missing
if [[ $keeper == found ]]; then
  DESTDIR=$stage/etcd cmake --install "$build" --prefix /opt --component etcd >/dev/null
  echo '-rwxr-xr-x opt/libexec/grex-lock/grex-lock-etcd' | has_exactly "$stage/etcd"
fi
