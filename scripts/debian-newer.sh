#!/usr/bin/env bash
# Unpacks one package of another Debian suite, mostly a newer one, into a folder, and leaves the system as it is.
#
#   scripts/debian-newer.sh SUITE PACKAGE DIR      (for example: sid containernetworking-plugins /some/folder)
#
# A comparison is only fair with the newest release of a peer, and a stable Debian does not carry it; and some peers only an
# older one has. Statically linked programs run where they are unpacked. apt gets a source list, lists and a cache of its own,
# below .cache/debian/SUITE; the archive's address comes from the machine's own sources and is written down nowhere.
# A package that holds nothing itself, but depends on the one that is meant (linux-image-amd64), stands for that one.
# Prints the version it unpacked on stdout; DIR/.version keeps it. Ends with 1, and DIR as it was, when it cannot.
set -euo pipefail
root=$(cd -- "${BASH_SOURCE[0]%/*}/.." && pwd)

fail() {
  printf 'debian-newer: %s\n' "$*" >&2
  exit 1
}

(($# == 3)) || fail "usage: scripts/debian-newer.sh SUITE PACKAGE DIR"
suite=$1 package=$2 target=$3
command -v apt-get >/dev/null || fail "no apt-get: this is no Debian"

state=$root/.cache/debian/$suite
mkdir -p -- "$state/lists/partial" "$state/cache/archives/partial" "$(dirname -- "$target")"
exec 9>"$state/lock"
flock 9

# The main archive, not the security one: the one whose release calls itself just "Debian".
# shellcheck disable=SC2016 # $(LABEL) and $(REPO_URI) are apt's placeholders
archive=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
  sed -n 's/^Debian \(.*\)$/\1/p' | head -n 1)
[[ -n $archive ]] || fail "apt knows no Debian archive on this machine (run apt-get update first)"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=
[[ -e $keyring ]] && signed="[signed-by=$keyring] "
printf 'deb %s%s %s main\n' "$signed" "$archive" "$suite" >"$state/sources.list"

own_apt() {
  apt-get --quiet=2 \
    -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::Languages=none \
    -o Debug::NoLocking=1 "$@" </dev/null >&2
}

if [[ -z $(find "$state/lists" -maxdepth 1 -name '*Packages*' -mtime -1 -print -quit) ]]; then
  own_apt update || fail "cannot read the package list of $suite"
fi

work=$(mktemp -d -- "$target.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
# With the suite's name, since apt would else choose what is installed where that is the newer one.
fetch() {
  rm -f -- "$work"/*.deb
  (cd -- "$work" && own_apt download "$1/$suite") || fail "$suite has no package $1 that can be fetched"
  deb=$(find "$work" -maxdepth 1 -name '*.deb' -print -quit)
}

holds_nothing() {
  ! dpkg-deb --fsys-tarfile "$deb" | tar --list | grep -vE '/$|^\./usr/share/(doc|bug|lintian)/' >/dev/null
}

fetch "$package"
while holds_nothing && meant=$(dpkg-deb --field "$deb" Depends) && [[ $meant != '' ]]; do fetch "${meant%%[ ,(]*}"; done
version=$(dpkg-deb --field "$deb" Version)
dpkg-deb --extract "$deb" "$work/tree"
printf '%s (%s)\n' "$version" "$suite" >"$work/tree/.version"
chmod 755 "$work/tree"
rm -rf -- "$target"
mv -- "$work/tree" "$target"
cat -- "$target/.version"
