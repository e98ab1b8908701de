#!/bin/sh
# Usage: as-root.sh COMMAND...
# Runs the command as root: directly, or by sudo. What root runs leaves no bytecode caches of its own in the tree.
if [ "$(id -u)" = 0 ]; then
    exec "$@"
elif command -v sudo >/dev/null; then
    exec sudo --preserve-env=CI,BLE,MICROPYTHON_DIR,SPEAKEASY_RUN,SPEAKEASY_SIM,TERM,http_proxy,https_proxy,no_proxy env PYTHONDONTWRITEBYTECODE=1 "$@"
fi
echo "This needs root (network namespaces, TAP devices, Debian packages), and there is no sudo here: run make as root." >&2
exit 1
