#!/bin/sh
# Builds the Debian package, with Node in it, as Debian has none that is new enough:
#   build.sh TREE NODE OUT
# TREE is a directory in which `npm install lightningstream-VERSION.tgz` was run, NODE that of a Node 24 as it is
# distributed, with bin/node and LICENSE, OUT the one for the package. Prints the path of the package. Needs dpkg-deb and
# binutils, not root.
set -eu
[ $# -eq 3 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
tree=$(realpath "$1")
distribution=$(realpath "$2")
out=$(realpath "$3")
node=$distribution/bin/node
here=$(dirname "$(realpath "$0")")
package=$tree/node_modules/lightningstream
version=$("$node" -p 'require(process.argv[1]).version' "$package/package.json")
architecture=$(dpkg --print-architecture)
umask 022
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root

install -D -m 755 "$node" "$root/usr/lib/lightningstream/node"
mkdir "$root/usr/lib/lightningstream/node_modules"
cd "$root/usr/lib/lightningstream/node_modules"
# The bundle has all else in it. What only a compiler or another libc needs is left out.
for name in lightningstream lmdb @harperfast/extended-iterable msgpackr ordered-binary weak-lru-cache detect-libc \
  node-gyp-build-optional-packages; do
  mkdir -p "$(dirname $name)"
  cp -r "$tree/node_modules/$name" $name
done
rm -rf lmdb/src lmdb/dependencies lmdb/dict lmdb/bin node-gyp-build-optional-packages/b*.js
rm -rf lightningstream/docs lightningstream/scripts lightningstream/patches
# Of the compiled addons, that of lmdb is in its package by now.
find lightningstream/prebuilds -type f ! -path "*/linux-$("$node" -p process.arch)/zstd.node" -delete
find . \( -path '*/build/Release/obj.target' -o -path '*/build/Release/.deps' -o -path '*/build/deps' \) -prune -exec rm -rf {} +
find . -type f \( -name '*.ts' -o -name '*.map' -o -name '*.cts' -o -name '*.gyp*' -o -name '*.mk' -o -name Makefile -o \
  -name '.*' -o -name '*.a' -o -name '*.wasm' -o -name test.js \) -delete
find . -type d -empty -delete
find . -type f -name '*.node' -exec strip --strip-unneeded {} +
find "$root" -type d -exec chmod 755 {} +
find . -type f -exec chmod 644 {} +
# /usr/bin/lightningstream runs it with the Node of the package.
sed -i 1d lightningstream/bin/lightningstream.js

install -D -m 755 "$here/lightningstream" "$root/usr/bin/lightningstream"
install -D -m 644 "$here/../systemd/lightningstream.service" "$root/usr/lib/systemd/system/lightningstream.service"
# It may hold secrets.
install -D -m 640 "$package/docs/lightningstream.yaml" "$root/etc/lightningstream/lightningstream.yaml"
install -d "$root/usr/share/man/man1" "$root/usr/share/doc/lightningstream" "$root/usr/share/lintian/overrides"
gzip -9n < "$package/docs/lightningstream.1" > "$root/usr/share/man/man1/lightningstream.1.gz"
gzip -9n < "$package/CHANGELOG.md" > "$root/usr/share/doc/lightningstream/CHANGELOG.md.gz"
date=$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y "$package/CHANGELOG.md")}")
maintainer=$(sed -n 's/^Maintainer: //p' "$here/control")
printf 'lightningstream (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' \
  "$version" "$maintainer" "$date" | gzip -9n > "$root/usr/share/doc/lightningstream/changelog.gz"
cp "$package"/docs/*.md "$package/docs/lightningstream.yaml" "$root/usr/share/doc/lightningstream/"
"$node" "$here/copyright.mjs" "$package/LICENSE" "$distribution/LICENSE" "$root/usr/lib/lightningstream/node_modules" \
  > "$root/usr/share/doc/lightningstream/copyright"
cp "$here/lintian-overrides" "$root/usr/share/lintian/overrides/lightningstream"
for shell in bash zsh fish; do
  case $shell in
    bash) file=bash-completion/completions/lightningstream ;;
    zsh) file=zsh/vendor-completions/_lightningstream ;;
    fish) file=fish/vendor_completions.d/lightningstream.fish ;;
  esac
  install -d "$(dirname "$root/usr/share/$file")"
  "$node" "$package/bin/lightningstream.js" completion $shell > "$root/usr/share/$file"
done

install -d "$root/DEBIAN"
size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" "$here/control" \
  > "$root/DEBIAN/control"
cp "$here/conffiles" "$root/DEBIAN/"
for script in postinst prerm postrm; do install -m 755 "$here/$script" "$root/DEBIAN/"; done
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum > DEBIAN/md5sums)
file=$out/lightningstream_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zgzip --build "$root" "$file" >&2
echo "$file"
