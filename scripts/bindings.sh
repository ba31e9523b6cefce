#!/usr/bin/env bash
# bindings.sh LANGUAGE...: builds the library and writes the kotlin or swift code that calls it to target/bindings/LANGUAGE.
# Both come from the same sources each time, so neither can be older than the other; nothing of it is committed.
source "$(dirname "$0")/prepare.sh"

[ $# -gt 0 ] || { echo "usage: scripts/bindings.sh kotlin|swift ..." >&2; exit 2; }
cargo build --quiet -p inkling-uniffi -p inkling-bindgen
# On Linux, stripping would delete the descriptions that the code is written from: it takes the library as built.
library=target/debug/libinkling_ffi.so
[ "$(uname)" = Darwin ] && library=target/debug/libinkling_ffi.dylib
for language in "$@"; do
    out="target/bindings/$language"
    next="$out.next"
    rm -rf "$next"
    target/debug/inkling-bindgen "$library" "$language" "$next"
    # Files that are the same keep their times, so that compilers need not run again.
    if diff -rq "$next" "$out" >/dev/null 2>&1; then rm -rf "$next"; else rm -rf "$out"; mv "$next" "$out"; fi
done
