#!/usr/bin/env bash
# Builds the programs of a Kubernetes cluster into .cache/kubernetes, and says nothing when they are there already:
# Kubernetes, etcd and CoreDNS, of the versions in go.mod beside this script.
#
#   tests/e2e/kubernetes/build.sh
#
# There is no Kubernetes in Debian and no registry of images is asked, so it comes the way that Go code comes: as modules,
# whose sums are in go.sum. All programs are compiled at once, because they share most of their packages. It takes some
# minutes, once for each change of go.mod; what Go keeps for the next time is thrown away, being four times as much.
# Without Go on the machine it says so and ends with 0: the tests that want a cluster will skip. A build that fails ends with 1.
set -euo pipefail
here=$(cd -- "${BASH_SOURCE[0]%/*}" && pwd)
root=$(cd -- "$here/../../.." && pwd)
target=$root/.cache/kubernetes

mkdir -p -- "$root/.cache"
exec 9>"$target.lock"
flock 9

wanted=$(cd -- "$here" && sha256sum build.sh go.mod go.sum coredns/main.go)
[[ $(cat -- "$target/.wanted" 2>/dev/null) != "$wanted" ]] || exit 0

PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || {
  echo "kubernetes: there is no Go to build it with; the tests that want a cluster will skip" >&2
  exit 0
}

cd -- "$here"
# No C compiler is asked for, the same bytes come out on every machine, and nobody's workspace or flags get in.
export CGO_ENABLED=0 GOFLAGS=-trimpath GOWORK=off GOCACHE=$target.gocache
version_of() { go list -m -f '{{.Version}}' "$1"; }

kubernetes=$(version_of k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${kubernetes#v}"
about=k8s.io/component-base/version
echo "kubernetes: building $kubernetes, which takes some minutes" >&2
rm -rf -- "$target.new"
go build -ldflags "-s -w -X $about.gitVersion=$kubernetes -X $about.gitMajor=$major -X $about.gitMinor=$minor" \
  -o "$target.new/" tool ./coredns 2>&1 | sed '/^go: downloading /d' >&2
mv -- "$target.new/server" "$target.new/etcd" # Go calls a program after its folder

printf '%s\n' "kubernetes $kubernetes" "etcd $(version_of go.etcd.io/etcd/server/v3)" \
  "coredns $(version_of github.com/coredns/coredns)" "$(go version)" >"$target.new/versions"
printf '%s\n' "$wanted" >"$target.new/.wanted"
rm -rf -- "$target" "$GOCACHE"
mv -- "$target.new" "$target"
echo "kubernetes: $(tr '\n' ' ' <"$target/versions")" >&2
