#!/usr/bin/env bash
# Sourced by the other scripts: goes to the project's root, finds the cache folder and a Rust toolchain, and offers
# `need`, which installs the few system packages that are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

INKLING_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/inkling"
MODEL_FILE="$INKLING_CACHE/models/SmolLM2-135M-Instruct.Q4_1.gguf"
mkdir -p "$INKLING_CACHE"

say() { printf '\n== %s\n' "$*" >&2; }

# install_packages PACKAGE...: installs Debian's packages if this user may.
install_packages() {
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    if ! command -v apt-get >/dev/null || { [ -n "$sudo" ] && ! command -v sudo >/dev/null; }; then
        echo "please install $* and run this again" >&2
        exit 1
    fi
    say "installing $*"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need COMMAND PACKAGE: makes sure that COMMAND exists.
need() { command -v "$1" >/dev/null || install_packages "$2"; }

# need_pip: makes sure that `python3 -m pip` works.
need_pip() {
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 || need pip3 python3-pip
}

if ! command -v cargo >/dev/null; then
    PATH="$HOME/.cargo/bin:$PATH"
    command -v cargo >/dev/null || { echo "a Rust toolchain is needed (1.95 or newer): https://rustup.rs" >&2; exit 1; }
fi
# Rust needs a linker and the C library's start files.
echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null 2>/dev/null || install_packages gcc libc6-dev
