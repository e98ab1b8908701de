#!/bin/sh
# Usage: twice.sh RUNG PYTEST...
#
# Runs a rung of tests; when at most three of them fail, runs those once more, one after the other whatever -n was given,
# and takes that for the result. Which they were is kept in build/RUNG-second-try, and printed.
set -eu
rung=$1
shift
cache=build/pytest/$rung
tries=build/$rung-second-try
mkdir -p "$cache"
rm -f "$tries" "$cache/v/cache/lastfailed"
status=0
"$@" -o cache_dir="$cache" || status=$?
[ "$status" = 1 ] || exit "$status"
failed=$(sed -nE 's/^  "(.*)": true,?$/\1/p' "$cache/v/cache/lastfailed")
[ "$(printf '%s\n' "$failed" | wc -l)" -le 3 ] || exit 1
printf '%s\n' "$failed" > "$tries"
echo "== $rung: these failed, and are run once more:"
cat "$tries"
"$@" -o cache_dir="$cache" --last-failed --last-failed-no-failures none -n 0
echo "== $rung: they passed at the second try. That is a fault of theirs or of ours: please look into it."
