#!/bin/sh
# Builds a command of a Go module, with what it needs, into its own directory.
#   go-fetch.sh GO DEST COMMAND@VERSION
# GO is the program that builds it. Unoptimized, which takes a fourth less of the processor. A second call with the same
# DEST does nothing.
set -eu
go=$1; dest=$2
[ -e "$dest/.complete" ] && exit 0
mkdir -p "$dest/bin"
GOBIN="$dest/bin" GOCACHE="$dest/cache" GOFLAGS="${GOFLAGS:-} -buildvcs=false" \
  nice "$go" install "-gcflags=all=-N -l" "-ldflags=-s -w" "$3" || { status=$?; rm -rf "$dest/cache"; exit $status; }
rm -rf "$dest/cache"
touch "$dest/.complete"
