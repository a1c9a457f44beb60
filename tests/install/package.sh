#!/usr/bin/env bash
# The Debian package is as lintian wants it, depends on nothing, and can be
# installed and purged: below a directory, not on this machine.
# usage: package.sh BUILD-DIRECTORY SOURCE-DIRECTORY
set -euo pipefail
build=$(realpath -- "$1")
source=$(realpath -- "$2")

scratch=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-package.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
export HOME=$scratch # fish writes there

fail() {
  echo "package.sh: $*" >&2
  exit 1
}

# The umask of who packs is none of the package's business.
(umask 077 && cpack --config "$build/CPackConfig.cmake" -B "$scratch" >"$scratch/log") || fail "$(<"$scratch/log")"
deb=$(echo "$scratch"/*.deb)
version=$("$build/grex-lock" --version)
[[ $deb == "$scratch/grex-lock_${version#grex-lock }-1_$(dpkg --print-architecture).deb" ]] || fail "it is named $deb"
[[ -z $(dpkg-deb --field "$deb" Depends) ]] || fail 'the static program depends on something'
lintian --no-cfg --allow-root --fail-on error,warning "$deb"

# A system of its own, where nothing else is installed. fakeroot lets anybody
# make files that belong to root.
root=$scratch/root
mkdir -p "$root/var/lib/dpkg/"{info,updates}
touch "$root/var/lib/dpkg/status"
export PATH=$PATH:/usr/sbin:/sbin # dpkg looks for its own tools
dpkg_there() { # whatever /etc/dpkg has to say
  fakeroot dpkg --root="$root" --force-script-chrootless --log="$scratch/dpkg.log" --path-include='*' "$@" \
    >"$scratch/log" 2>&1 || fail "dpkg $*: $(<"$scratch/log")"
}
files_there() { find "$root" -path "$root/var" -prune -o ! -type d -printf '%M %P\n' | LC_ALL=C sort -k 2; }

dpkg_there --install "$deb"
diff -u --label expected - --label installed <(files_there) <<'END'
-rwxr-xr-x usr/bin/grex-lock
-rw-r--r-- usr/share/bash-completion/completions/grex-lock
-rw-r--r-- usr/share/doc/grex-lock/README.md
-rw-r--r-- usr/share/doc/grex-lock/changelog.Debian.gz
-rw-r--r-- usr/share/doc/grex-lock/changelog.gz
-rw-r--r-- usr/share/doc/grex-lock/copyright
-rw-r--r-- usr/share/doc/grex-lock/docs/pictures/ladder.svg
-rw-r--r-- usr/share/doc/grex-lock/docs/pictures/life.svg
-rw-r--r-- usr/share/doc/grex-lock/docs/pictures/pile-up.svg
-rw-r--r-- usr/share/fish/vendor_completions.d/grex-lock.fish
-rw-r--r-- usr/share/lintian/overrides/grex-lock
-rw-r--r-- usr/share/man/man1/grex-lock.1.gz
-rw-r--r-- usr/share/zsh/vendor-completions/_grex-lock
END
dpkg_there --verify grex-lock # the md5sums
[[ ! -s $scratch/log ]] || fail "not what was packed: $(<"$scratch/log")"
# shellcheck disable=SC2016 # it is for zsh to expand
[[ " $(zsh -f -c 'echo $fpath') " == *' /usr/share/zsh/vendor-completions '* ]] || fail 'zsh does not look there'
XDG_DATA_DIRS=$root/usr/share "$source/tests/install/finds.sh" "$root/usr" "$root/usr/share/zsh/vendor-completions"

dpkg_there --purge grex-lock
left=$(find "$root" -mindepth 1 -path "$root/var" -prune -o -print && find "$root/var" -name '*grex-lock*')
[[ -z $left ]] || fail "what a purge leaves: $left"
