#!/bin/sh
# Usage: packages.sh GROUP...
# Installs the Debian packages of these groups of packages.txt that are missing. `apt-get update` runs only when apt does not know a package.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
log=build/apt.log

say() { echo "packages: $*"; }
wanted=$(for group in "$@"; do awk -v group="$group" '$1 == group { print $2 }' "$here/packages.txt"; done)
if ! command -v dpkg-query >/dev/null; then
    say "This is not Debian, so nothing was installed. Speakeasy needs what Debian calls:" >&2
    echo "$wanted" | tr '\n' ' ' >&2
    exit 1
fi
missing=$(for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
done | tr '\n' ' ')
[ -n "$missing" ] || exit 0

say "installing ${missing}(log: $log)"
mkdir -p build
apt() { "$here/as-root.sh" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1; }
fail() {
    tail -n 8 "$log" >&2
    say "$1" >&2
    exit 1
}
: >"$log"
"$here/as-root.sh" true || exit 1
for package in $missing; do
    if ! LC_ALL=C apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        say "apt-get update"
        apt update || fail "\`apt-get update\` failed: see the lines above. Is the network up, and do apt's sources name a Debian archive?"
        break
    fi
done
# Lists that are too old name files that are gone from the archive: bring them up to date and try once more.
# shellcheck disable=SC2086 # one word a package
apt install -y --no-install-recommends $missing ||
    { say "apt-get update" && apt update && apt install -y --no-install-recommends $missing; } ||
    fail "Not all of these could be installed: see the lines above, mend what they say, and run make again."
