#!/usr/bin/env bash
# Builds what apps ship, as far as this machine can, and checks it: shared libraries for Android (arm64-v8a, x86_64), a
# static library for iPhones. Then damages copies of them, to see that the checks complain. The rest (the simulator,
# Macs, the AAR) is made by `make ios` and `make android`.
source "$(dirname "$0")/prepare.sh"

scripts/android.sh --libraries
scripts/ios.sh --out target/apple/test aarch64-apple-ios
say "damaged copies"
for abi in arm64-v8a x86_64; do
    scripts/cross/test_formats.py "target/android/jniLibs/$abi/libinkling_ffi.so" target/apple/test/InklingFFI.xcframework
done
