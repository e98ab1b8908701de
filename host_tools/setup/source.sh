#!/bin/sh
# Usage: source.sh micropython|mbedtls|lwip DIRECTORY
# Unpacks that source into DIRECTORY: the orig tarball of Debian's source package, its signatures checked by apt. The machine's own apt
# sources are only read (where is the archive?), never written: everything happens in a private apt directory beside DIRECTORY.
set -eu

# The suite and the version (a pattern of the shell's), the same for every machine. mbedTLS is newer with each point release of the suite;
# MicroPython 1.25 brings 3.6.2 itself.
suite=trixie
package=$1
case $package in
micropython) version=1.25.0+ds-1 ;;
mbedtls) version='3.6.*' ;;
lwip) version='2.2.1*' ;;
*) sed -n 2p "$0" >&2 && exit 2 ;;
esac
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "$package: $*"; }
die() {
    for line in "$@"; do say "$line" >&2; done
    exit 1
}
other_way="Or name a MicroPython checkout with its submodules, 1.25: make MICROPYTHON_DIR=/path/to/micropython ..."

dest=$2
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
versions() { private_apt apt-cache showsrc "$package" | sed -n 's/^Version: //p' | sort -Vu; }
wanted() {
    versions | while read -r one; do
        # shellcheck disable=SC2254 # a pattern
        case $one in $version) echo "$one" ;; esac
    done | tail -n 1
}
fetch() {
    printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$1" "$suite" "$keyring" >"$work/debian.sources"
    private_apt apt-get -o APT::Update::Error-Mode=any update && (cd "$work" && private_apt apt-get source --download-only "$package=$(wanted)")
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
    have=$(versions 2>/dev/null | tr '\n' ' ' || true)
    [ -z "$have" ] || [ -n "$(wanted)" ] ||
        die "Debian's archive has moved on: it has $package $have instead of $version." "Set the new version in host_tools/setup/source.sh and run \`make test\`." "$other_way"
    die "The source package could not be fetched. Is the network up, and does \`apt-get update\` work?" "$other_way"
fi

rm -rf "$dest" "$work/source"
mkdir -p "$work/source"
tar -C "$work/source" --strip-components=1 -xf "$(echo "$work/${package}_"*.orig.tar.*[zo2])"
mv "$work/source" "$dest"
rm -rf "$work"
say "unpacked into $dest"
