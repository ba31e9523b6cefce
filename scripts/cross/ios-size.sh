#!/usr/bin/env bash
# ios-size.sh LIBRARY: what a static library for iOS adds to an app: links it with nothing but itself, keeping what the functions that
# Swift calls can reach, strips the result and holds its size against scripts/code_size.json. Names of the system's stay
# open (there is no SDK here to say which there are); they are compared with the list in apple-symbols.txt.
source "$(dirname "$0")/../prepare.sh"
source scripts/cross/toolchain.sh
need_lld

folder="$cross_dir/ios-size"
mkdir -p "$folder"
for prefix in _uniffi_inkling_ _ffi_inkling_; do scripts/cross/macho.py exported "$1" $prefix; done >"$folder/exports"
[ "$(wc -l <"$folder/exports")" -ge 100 ] || give_up "$1 does not export what Swift calls"
"$lld/ld64.lld" -arch arm64 -platform_version ios 17.0 17.0 -dylib -dead_strip -fixup_chains -undefined dynamic_lookup \
    -exported_symbols_list "$folder/exports" -S -x -o "$folder/linked.dylib" "$1" 2>"$folder/log" || {
    cat "$folder/log" >&2
    exit 1
}
scripts/cross/macho.py undefined "$folder/linked.dylib" >"$folder/undefined"
unknown=$(grep -vxFf scripts/cross/apple-symbols.txt "$folder/undefined" || true)
[ -z "$unknown" ] || give_up "The library wants names that were not looked up in Apple's libSystem yet (scripts/cross/apple-symbols.txt):
$unknown"
scripts/code-size.py "ios arm64" "$(wc -c <"$folder/linked.dylib")"
