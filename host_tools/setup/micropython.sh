#!/bin/sh
# Usage: micropython.sh DIRECTORY
# Unpacks MicroPython's source into DIRECTORY: the orig tarball of Debian's source package, its signatures checked by apt. The machine's own apt
# sources are only read (where is the archive?), never written: everything happens in a private apt directory beside DIRECTORY.
set -eu

suite=trixie
package=micropython
version=1.25.0+ds-1
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "micropython: $*"; }
die() {
    for line in "$@"; do say "$line" >&2; done
    exit 1
}
other_way="Or name a MicroPython ${version%%+*} checkout: make MICROPYTHON_DIR=/path/to/micropython ..."

dest=$1
work=$dest.apt
command -v apt-get >/dev/null || die "There is no apt-get here, and the source comes from Debian's archive." "$other_way"
[ -e "$keyring" ] || die "$keyring is missing, so nothing from Debian could be verified: apt-get install debian-archive-keyring." "$other_way"

# Where this machine's apt gets Debian itself from, in either format of sources: the suites' own InRelease files. Security, updates and third
# parties' suites have other names; a third party that uses Debian's fails the check of signatures below, and the next one is tried.
archives=$(apt-get update --print-uris | sed -nE "s,^'([^']+)/dists/(bookworm|trixie|stable|oldstable|testing|forky|sid|unstable)/InRelease'.*,\1,p" | sort -u)
[ -n "$archives" ] || die "apt's sources on this machine name no Debian archive." "$other_way"

rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
work=$(cd "$work" && pwd)
private_apt() { # apt-get|apt-cache ...
    tool=$1
    shift
    "$tool" -qq -o Dir::Etc::sourcelist="$work/debian.sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$work/lists" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::IndexTargets::deb-src::DEP-11::DefaultEnabled=false "$@"
}
fetch() {
    printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$1" "$suite" "$keyring" >"$work/debian.sources"
    private_apt apt-get -o APT::Update::Error-Mode=any update && (cd "$work" && private_apt apt-get source --download-only "$package=$version")
}
for archive in $archives; do
    say "fetching the source package $package $version ($suite) from $archive"
    if fetch "$archive" >"$work/log" 2>&1; then
        fetched=yes
        break
    fi
    say "not from there:"
    grep -E '^[EW]:' "$work/log" | head -n 5 || tail -n 5 "$work/log"
done
if [ -z "${fetched:-}" ]; then
    have=$(private_apt apt-cache showsrc "$package" 2>/dev/null | sed -n 's/^Version: //p' | sort -u | tr '\n' ' ' || true)
    [ -z "$have" ] || [ "$have" = "$version " ] ||
        die "Debian's archive has moved on: it has $package $have instead of $version." "Set the new version in host_tools/setup/micropython.sh and run \`make test\`." "$other_way"
    die "The source package could not be fetched. Is the network up, and does \`apt-get update\` work?" "$other_way"
fi

rm -rf "$dest" "$work/source"
mkdir -p "$work/source"
tar -C "$work/source" --strip-components=1 -xf "$work/${package}_${version%-*}.orig.tar.xz"
mv "$work/source" "$dest"
rm -rf "$work"
say "unpacked into $dest"
