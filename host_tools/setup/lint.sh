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
check "phone page: types, format, style" env PATH="$PWD/$bin:$PATH" "$bin/npm" --silent --prefix host_tools/phone_page run check
c_files=$(files '*.c' '*.h')
if [ -n "$c_files" ]; then
    # shellcheck disable=SC2086
    check "clang-format" "$bin/clang-format" --dry-run --Werror $c_files
fi
# Without what needs MicroPython's and ESP-IDF's headers: there the compiler's own warnings have to do.
# shellcheck disable=SC2329
clang_tidy() { files 'firmware/pktfilter/*.c' ':!firmware/pktfilter/modpktfilter.c' ':!firmware/pktfilter/glue_lwip.c' ':!firmware/pktfilter/glue_esp.c' | xargs -P "$(nproc)" -n 4 "$bin/clang-tidy" --quiet; }
check "clang-tidy" clang_tidy
# lwIP is fetched by the rungs that need it, which come later on a machine that is new.
lwip=${LWIP_DIR:-build/lwip}
# shellcheck disable=SC2329
clang_tidy_lwip() {
    for file in firmware/pktfilter/glue_lwip.c boards/SIM_LWIP/glue_pc.c boards/SIM_LWIP/stack.c; do
        "$bin/clang-tidy" --quiet "$file" -- -std=c99 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Ifirmware/pktfilter -Iboards/SIM_LWIP \
            -isystem "$lwip/src/include" -isystem "$lwip/contrib/ports/unix/port/include" || return 1
    done
}
if [ -f "$lwip/src/include/lwip/init.h" ]; then
    check "clang-tidy, on lwIP" clang_tidy_lwip
else
    echo "lint: clang-tidy, on lwIP: skipped: there is no lwIP in $lwip; \`make lwip\` fetches it"
fi
exit $status
