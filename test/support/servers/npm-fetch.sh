#!/bin/sh
# Installs a package of npm's registry, with what it needs, into its own directory; its install scripts are not run.
# --force: also one for another processor, which is emulated.
#   npm-fetch.sh DEST PACKAGE@VERSION
# A second call with the same DEST does nothing.
set -eu
dest=$1
[ -e "$dest/.complete" ] && exit 0
mkdir -p "$dest"
npm install --prefix "$dest" --ignore-scripts --force --no-audit --no-fund --no-save --no-package-lock --loglevel=error "$2"
touch "$dest/.complete"
