#!/usr/bin/env bash
# Formatting, clippy, spelling; licences and sources of dependencies too where cargo-deny is installed.
source "$(dirname "$0")/prepare.sh"

say "formatting and clippy"
cargo fmt --all --check
cargo clippy --workspace --all-targets --quiet -- -D warnings

say "spelling"
typos="$INKLING_CACHE/lint/bin/typos"
if [ ! -x "$typos" ]; then
    need_pip
    python3 -m pip install --quiet --target "$INKLING_CACHE/lint" typos==1.52.0
fi
"$typos"

if cargo deny --version >/dev/null 2>&1; then
    say "licences and sources"
    cargo deny --log-level error check licenses bans sources
else
    echo "cargo-deny is not installed: licences and sources are checked by core/sdk/tests/architecture.rs alone" >&2
fi
