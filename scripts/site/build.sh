#!/bin/sh
# Builds the site from the documents with MkDocs, and fails at a link or an anchor that leads nowhere:
#   build.sh OUT
# OUT is a directory, which is made. Needs Python 3 with pip, which installs MkDocs outside of the system.
set -eu
[ $# -eq 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
mkdir -p "$1"
out=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

packages=${XDG_CACHE_HOME:-$HOME/.cache}/lightningstream-site
if ! cmp -s "$here/requirements.txt" "$packages/requirements.txt"; then
  rm -rf "$packages"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-warn-conflicts \
    --target "$packages" --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$packages/requirements.txt"
fi

# As in the repository: the documents, and the files that they link to.
mkdir "$work/documents"
cd "$root"
cp -r --parents README.md CHANGELOG.md CONTRIBUTING.md LICENSE docs packaging contrib src bench/NOTES.md "$work/documents/"
cp "$here/mkdocs.yml" "$work/"
# Not --quiet: it would not count what it does not print.
if ! PYTHONPATH=$packages PYTHONDONTWRITEBYTECODE=1 \
  python3 -m mkdocs build --config-file "$work/mkdocs.yml" --site-dir "$out" 2> "$work/log"; then
  cat "$work/log" >&2
  exit 1
fi
