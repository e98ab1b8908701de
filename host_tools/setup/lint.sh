#!/bin/sh
# Runs every static check over the files that git knows (or would add), from the top of the repository. Goes on after a
# finding, so that one run shows them all.
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
# The command runs elsewhere, too: what it uses of the system must be there, or asked for.
check "mypy host_tools, on Windows" "$bin/mypy" --no-error-summary --platform win32 --cache-dir build/mypy-win32 host_tools/speakeasy/cli.py
check "mypy firmware" "$bin/mypy" --no-error-summary --config-file firmware/mypy.ini
# shellcheck disable=SC2046
check "shellcheck" "$bin/shellcheck" $(files '*.sh' '.ci/run' '*.script')
c_files=$(files '*.c' '*.h')
if [ -n "$c_files" ]; then
    # shellcheck disable=SC2086
    check "clang-format" "$bin/clang-format" --dry-run --Werror $c_files
fi
# Without what needs others' headers, MicroPython's and lwIP's: there the compiler's own warnings have to do.
# shellcheck disable=SC2329
clang_tidy() { files 'firmware/pktfilter/*.c' ':!firmware/pktfilter/modpktfilter.c' ':!firmware/pktfilter/glue_lwip.c' ':!firmware/pktfilter/glue_esp.c' | xargs -P "$(nproc)" -n 4 "$bin/clang-tidy" --quiet; }
check "clang-tidy" clang_tidy
exit $status
