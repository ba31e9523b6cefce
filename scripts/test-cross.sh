#!/usr/bin/env bash
# Builds what apps ship, as far as this machine can, and checks it: shared libraries for Android (arm64-v8a, x86_64), a
# static library for iPhones. Then damages copies of them, to see that the checks complain. The rest (the simulator,
# Macs, the AAR) is made by `make ios` and `make android`. Where compiler or linker cannot be had (status 3 of a script)
# it says so and goes on.
source "$(dirname "$0")/prepare.sh"

# attempt WHAT COMMAND...: fails if the platform's tools are missing; whatever else goes wrong ends this script.
attempt() {
    local status=0
    "${@:2}" || status=$?
    [ $status != 3 ] || { echo "SKIPPED: $1 was not built; what is missing is said above" >&2; return 1; }
    [ $status = 0 ] || exit $status
}

android="" apple=""
! attempt "the library for Android" scripts/android.sh --libraries || android=yes
! attempt "the library for iPhones" scripts/ios.sh --out target/apple/test aarch64-apple-ios || apple=yes
if [ -n "$android" ] && [ -n "$apple" ]; then
    say "damaged copies"
    for abi in arm64-v8a x86_64; do
        scripts/cross/test_formats.py "target/android/jniLibs/$abi/libinkling_ffi.so" \
            target/apple/test/InklingFFI.xcframework
    done
fi
