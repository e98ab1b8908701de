#!/bin/sh
# Runs every static check over the files that git knows (or would add), from the top of the repository. Goes on after a finding, so that one run shows them all.
set -u
bin=.venv/bin
status=0
# Usage: check NAME COMMAND...
check() {
    name=$1
    shift
    echo "lint: $name"
    "$@" || {
        echo "lint: $name FAILED"
        status=1
    }
}
# Usage: files PATTERN...: no blanks in the names of our files
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -e "$file" ] || echo "$file"; done; }

check "ruff format" "$bin/ruff" format --quiet --check --diff .
check "ruff check" "$bin/ruff" check --quiet --output-format concise .
check "mypy host_tools" "$bin/mypy" --no-error-summary
check "mypy firmware" "$bin/mypy" --no-error-summary --config-file firmware/mypy.ini
# shellcheck disable=SC2046
check "shellcheck" "$bin/shellcheck" $(files '*.sh' '.ci/run' '*.script')
c_files=$(files '*.c' '*.h')
if [ -n "$c_files" ]; then
    # shellcheck disable=SC2086
    check "clang-format" "$bin/clang-format" --dry-run --Werror $c_files
fi
c_files=$(files 'firmware/pktfilter/*.c' ':!firmware/pktfilter/modpktfilter.c')
if [ -n "$c_files" ]; then
    # shellcheck disable=SC2086
    check "clang-tidy" "$bin/clang-tidy" --quiet $c_files -- -std=c99 -D_GNU_SOURCE -Ifirmware/pktfilter
fi
exit $status
