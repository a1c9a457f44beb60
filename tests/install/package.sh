#!/usr/bin/env bash
# Checks that the Debian packages satisfy lintian, depend on what they need, and can
# be installed and purged, in a directory instead of on this machine. There is one of
# the program, which needs nothing, and one of grex-lock-etcd, if that was built.
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

# The umask must not affect the packages.
(umask 077 && cpack --config "$build/CPackConfig.cmake" -B "$scratch" >"$scratch/log") || fail "$(<"$scratch/log")"
version=$("$build/grex-lock" --version)
version=${version#grex-lock }-1
suffix=_${version}_$(dpkg --print-architecture).deb
deb=$scratch/grex-lock$suffix
etcd_deb=$scratch/grex-lock-etcd$suffix
packages=("$deb")
[[ ! -e $build/grex-lock-etcd ]] || packages+=("$etcd_deb")
diff -u --label expected --label packed <(printf '%s\n' "${packages[@]}" | sort) <(printf '%s\n' "$scratch"/*.deb | sort)
[[ -z $(dpkg-deb --field "$deb" Depends) ]] || fail 'the static program depends on something'
lintian --no-cfg --allow-root --fail-on error,warning "${packages[@]}"

# A separate root directory, in which nothing else is installed. With fakeroot,
# any user can create files that belong to root.
root=$scratch/root
mkdir -p "$root/var/lib/dpkg/"{info,updates}
touch "$root/var/lib/dpkg/status"
export PATH=$PATH:/usr/sbin:/sbin # dpkg looks for its own tools
dpkg_in_root() { # overrides any path-exclude in /etc/dpkg
  fakeroot dpkg --root="$root" --force-script-chrootless --log="$scratch/dpkg.log" --path-include='*' "$@" \
    >"$scratch/log" 2>&1 || fail "dpkg $*: $(<"$scratch/log")"
}
files_in_root() { find "$root" -path "$root/var" -prune -o ! -type d -printf '%M %P\n' | LC_ALL=C sort -k 2; }

dpkg_in_root --install "$deb"
diff -u --label expected - --label installed <(files_in_root) <<'END'
-rwxr-xr-x usr/bin/grex-lock
-rw-r--r-- usr/share/bash-completion/completions/grex-lock
-rw-r--r-- usr/share/doc/grex-lock/README.md
-rw-r--r-- usr/share/doc/grex-lock/SECURITY.md
-rw-r--r-- usr/share/doc/grex-lock/changelog.Debian.gz
-rw-r--r-- usr/share/doc/grex-lock/changelog.gz
-rw-r--r-- usr/share/doc/grex-lock/copyright
-rw-r--r-- usr/share/doc/grex-lock/docs/architecture.md
-rw-r--r-- usr/share/doc/grex-lock/docs/cluster.md
-rw-r--r-- usr/share/doc/grex-lock/docs/how-it-works.md
-rw-r--r-- usr/share/doc/grex-lock/docs/install.md
-rw-r--r-- usr/share/doc/grex-lock/docs/json.md
-rw-r--r-- usr/share/doc/grex-lock/docs/json.schema.json
-rw-r--r-- usr/share/doc/grex-lock/docs/performance.md
-rw-r--r-- usr/share/doc/grex-lock/docs/pictures/ladder.svg
-rw-r--r-- usr/share/doc/grex-lock/docs/pictures/life.svg
-rw-r--r-- usr/share/doc/grex-lock/docs/pictures/pile-up.svg
-rw-r--r-- usr/share/doc/grex-lock/docs/pictures/rooms.svg
-rw-r--r-- usr/share/doc/grex-lock/docs/recipes.md
-rw-r--r-- usr/share/doc/grex-lock/docs/testing.md
-rw-r--r-- usr/share/doc/grex-lock/docs/upgrading.md
-rw-r--r-- usr/share/fish/vendor_completions.d/grex-lock.fish
-rw-r--r-- usr/share/lintian/overrides/grex-lock
-rw-r--r-- usr/share/man/man1/grex-lock.1.gz
-rw-r--r-- usr/share/man/man7/grex-lock.7.gz
-rw-r--r-- usr/share/zsh/vendor-completions/_grex-lock
END
dpkg_in_root --verify grex-lock # the md5sums
[[ ! -s $scratch/log ]] || fail "installed files differ from the package: $(<"$scratch/log")"
"$source/tests/docs/links.py" "$root/usr/share/doc/grex-lock"
# shellcheck disable=SC2016 # zsh expands it
[[ " $(zsh -f -c 'echo $fpath') " == *' /usr/share/zsh/vendor-completions '* ]] || fail 'zsh does not search vendor-completions'
XDG_DATA_DIRS=$root/usr/share "$source/tests/install/finds.sh" "$root/usr" "$root/usr/share/zsh/vendor-completions"

"$source/tests/install/keeper.sh" "$root/usr" missing

installed=(grex-lock)
if [[ -e $etcd_deb ]]; then
  depends=" $(dpkg-deb --field "$etcd_deb" Depends),"
  for needed in "grex-lock (= $version)," 'libcurl4 ' 'libc6 ' 'libstdc++6 '; do
    [[ $depends == *" $needed"* ]] || fail "grex-lock-etcd does not depend on $needed:$depends"
  done
  files_in_root >"$scratch/before"
  dpkg_in_root --force-depends --install "$etcd_deb" # the libraries are those of this machine
  diff -u --label expected - --label installed <(files_in_root | grep -vxFf "$scratch/before") <<'END'
-rwxr-xr-x usr/libexec/grex-lock/grex-lock-etcd
-rw-r--r-- usr/share/doc/grex-lock-etcd/changelog.Debian.gz
-rw-r--r-- usr/share/doc/grex-lock-etcd/changelog.gz
-rw-r--r-- usr/share/doc/grex-lock-etcd/copyright
-rw-r--r-- usr/share/lintian/overrides/grex-lock-etcd
END
  dpkg_in_root --verify grex-lock-etcd
  [[ ! -s $scratch/log ]] || fail "installed files differ from the package: $(<"$scratch/log")"
  "$source/tests/install/keeper.sh" "$root/usr" found
  installed+=(grex-lock-etcd)
fi

dpkg_in_root --purge "${installed[@]}"
left=$(find "$root" -mindepth 1 -path "$root/var" -prune -o -print && find "$root/var" -name '*grex-lock*')
[[ -z $left ]] || fail "purge left behind: $left"
