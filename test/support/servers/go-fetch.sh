#!/bin/sh
# Builds a command of a Go module, with what it needs, into its own directory.
#   go-fetch.sh DEST COMMAND@VERSION
# Unoptimized, which takes a fourth less of the processor. A second call with the same DEST does nothing.
set -eu
dest=$1
[ -e "$dest/.complete" ] && exit 0
mkdir -p "$dest/bin"
GOBIN="$dest/bin" GOCACHE="$dest/cache" GOFLAGS="${GOFLAGS:-} -buildvcs=false" \
  nice go install "-gcflags=all=-N -l" "-ldflags=-s -w" "$2" || { status=$?; rm -rf "$dest/cache"; exit $status; }
rm -rf "$dest/cache"
touch "$dest/.complete"
