#!/usr/bin/env bash
# `cmake --install` installs what belongs to grex-lock, where it is found, and
# nothing else; the line of the README takes it away again.
# usage: stage.sh BUILD-DIRECTORY SOURCE-DIRECTORY
set -euo pipefail
build=$(realpath -- "$1")
source=$(realpath -- "$2")
finds=$source/tests/install/finds.sh

stage=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-stage.XXXXXX")
# It tells what was last installed from this build, which is to stay what its
# user installed.
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

# These files, with their modes, are below a directory, and no others.
has_exactly() {
  diff -u --label expected - --label "$1" <(cd "$1" && find . ! -type d -printf '%M %P\n' | LC_ALL=C sort -k 2)
}

# Everything, into a home directory whose shells are told nothing.
export HOME=$stage/home
unset XDG_DATA_DIRS
cmake --install "$build" --prefix "$HOME/.local" >/dev/null
has_exactly "$HOME/.local" <<'END'
-rwxr-xr-x bin/grex-lock
-rw-r--r-- share/bash-completion/completions/grex-lock
-rw-r--r-- share/doc/grex-lock/CHANGELOG.md
-rw-r--r-- share/doc/grex-lock/LICENSE-APACHE
-rw-r--r-- share/doc/grex-lock/LICENSE-MIT
-rw-r--r-- share/doc/grex-lock/README.md
-rw-r--r-- share/doc/grex-lock/docs/pictures/ladder.svg
-rw-r--r-- share/doc/grex-lock/docs/pictures/life.svg
-rw-r--r-- share/doc/grex-lock/docs/pictures/pile-up.svg
-rw-r--r-- share/fish/vendor_completions.d/grex-lock.fish
-rw-r--r-- share/man/man1/grex-lock.1
-rw-r--r-- share/zsh/site-functions/_grex-lock
END
"$finds" "$HOME/.local" "$HOME/.local/share/zsh/site-functions"

# What is taken away is what was installed.
touch "$HOME/.local/bin/other"
uninstall=$(grep -m 1 'install_manifest\.txt' "$source/README.md")
bash -euo pipefail -c "${uninstall//build\/release/\"\$1\"}" uninstall "$build"
echo '-rw-r--r-- bin/other' | has_exactly "$HOME/.local"

# For a packager: below DESTDIR, here only a part.
DESTDIR=$stage/root cmake --install "$build" --prefix /usr/local >/dev/null
XDG_DATA_DIRS=$stage/root/usr/local/share "$finds" "$stage/root/usr/local" "$stage/root/usr/local/share/zsh/site-functions"
DESTDIR=$stage/part cmake --install "$build" --prefix /opt --component program >/dev/null
echo '-rwxr-xr-x opt/bin/grex-lock' | has_exactly "$stage/part"
