#!/bin/sh
# Fetches the published package opencompass 0.5.4, checks it against its
# SHA-256, and unpacks only its folder opencompass/configs, for the conformance
# tests of internal/pyconf. Nothing of it goes into this repository.
#
#   tools/fetch-opencompass-configs.sh [FOLDER]
#
# FOLDER defaults to ${XDG_CACHE_HOME:-$HOME/.cache}/sextant-test/opencompass-0.5.4.
# Prints the folder; SEXTANT_OC_CONFIGS tells the tests when it is another one.
set -eu

version=0.5.4
sha256=362aafb77b264d9eb51e4a8f6730d22c98ea93a8d73f5f1be56928ed3141474a
wheel=opencompass-$version-py3-none-any.whl
dest=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/sextant-test/opencompass-$version}

if [ -f "$dest/.complete-$sha256" ]; then
	echo "$dest"
	exit 0
fi
command -v python3 >/dev/null || { echo "python3 is needed to fetch the package (apt-get install python3 python3-pip)" >&2; exit 1; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$tmp" "opencompass==$version" >&2
got=$(sha256sum "$tmp/$wheel" | cut -d' ' -f1)
if [ "$got" != "$sha256" ]; then
	echo "$wheel has SHA-256 $got, expected $sha256" >&2
	exit 1
fi
mkdir -p "$dest"
python3 - "$tmp/$wheel" "$dest" <<'EOF'
import sys, zipfile
wheel, dest = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        if name.startswith('opencompass/configs/') and '..' not in name.split('/'):
            z.extract(name, dest)
EOF
: >"$dest/.complete-$sha256"
echo "$dest"
