#!/usr/bin/env bash
# Builds the real kube-apiserver and kube-controller-manager that the tests of
# the Kubernetes runner use, from the Go module proxy, into the folder where
# they look for them. Ten minutes of CPU time once; does nothing when they are
# there. The tests also need etcd (Debian: apt-get install etcd-server).
#
#   tools/k8s-build.sh [FOLDER]    default: $SEXTANT_K8S_BIN, or sextant-test/k8s in the user's cache
set -euo pipefail

version=1.37.2
libraries=v0.37.2 # k8s.io/api and the other parts of the same release
out=${1:-${SEXTANT_K8S_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/sextant-test/k8s}}
programs=(kube-apiserver kube-controller-manager)

missing=()
for p in "${programs[@]}"; do
  if [ ! -x "$out/$p" ] || ! "$out/$p" --version 2>/dev/null | grep -qx "Kubernetes v$version"; then missing+=("$p"); fi
done
if [ ${#missing[@]} = 0 ]; then
  echo "Kubernetes v$version is in $out"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export GOFLAGS=-mod=mod GOWORK=off
printf 'module kubernetes-for-tests\n\ngo 1.26\n' >go.mod
gomod=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^[[:space:]]*"GoMod": "\(.*\)",\{0,1\}$/\1/p')
# The module refers to its parts as folders beside it, which the proxy does not
# have; each is published as a module of its own.
{
  cat <<MOD
module kubernetes-for-tests

go 1.26

require k8s.io/kubernetes v$version

replace (
MOD
  awk -v v="$libraries" '$2 == "=>" && $3 ~ /^\.\/staging\// { print "\t" $1 " => " $1 " " v }' "$gomod" | sort -u
  echo ')'
} >go.mod
targets=()
for p in "${missing[@]}"; do targets+=("k8s.io/kubernetes/cmd/$p@v$version"); done
go get "${targets[@]}"
package=k8s.io/component-base/version
flags="-s -w -X $package.gitVersion=v$version -X $package.gitMajor=${version%%.*} -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
mkdir -p "$out"
for p in "${missing[@]}"; do
  echo "building $p"
  CGO_ENABLED=0 go build -ldflags "$flags" -o "$out/$p.new" "k8s.io/kubernetes/cmd/$p"
  mv "$out/$p.new" "$out/$p"
done
echo "Kubernetes v$version is in $out"
