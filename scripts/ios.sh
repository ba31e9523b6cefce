#!/usr/bin/env bash
# ios.sh [--out FOLDER] [TARGET...]: builds static libraries for iPhones, the simulator (arm64 and x86_64) and Macs, or
# for the given targets among them, makes target/apple/InklingFFI.xcframework of them, with its zip and checksum, checks
# it, and holds what it adds to an app against scripts/code_size.json.
#
# A static library needs no SDK: rustup's targets serve on any system, and where they are missing Debian's compiler
# builds the standard library too. Where there is Xcode it puts the libraries together; elsewhere
# scripts/cross/xcframework.py does.
source "$(dirname "$0")/prepare.sh"
source scripts/cross/toolchain.sh
need python3 python3

out=target/apple
if [ "${1:-}" = --out ]; then
    out=$2
    shift 2
fi
all=(aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin)
targets=("$@")
[ $# -gt 0 ] || targets=("${all[@]}")

# The oldest systems that Package.swift names. iPadOS 17 runs on the A10: no older processor needs to be served, and
# what newer ones can is found out when the engine starts.
export IPHONEOS_DEPLOYMENT_TARGET=17.0 MACOSX_DEPLOYMENT_TARGET=14.0
export CARGO_TARGET_AARCH64_APPLE_IOS_RUSTFLAGS="-C target-cpu=apple-a10"

build staticlib "${targets[@]}"

# One library for each platform; several processors in one file.
xcode=""
if command -v xcodebuild >/dev/null && xcodebuild -version >/dev/null 2>&1; then xcode=yes; fi
libraries=()
# platform NAME TARGET...: the library of a platform, if it is wanted.
platform() {
    local name=$1 target slices=()
    shift
    for target in "$@"; do
        [[ " ${targets[*]} " != *" $target "* ]] || slices+=("$cross_dir/$target/phone/libinkling_ffi.a")
    done
    [ ${#slices[@]} -gt 0 ] || return 0
    mkdir -p "$out/libraries/$name"
    rm -f "$out/libraries/$name/libinkling_ffi.a"
    if [ ${#slices[@]} = 1 ]; then
        cp "${slices[0]}" "$out/libraries/$name/libinkling_ffi.a"
    elif [ -n "$xcode" ]; then
        lipo -create "${slices[@]}" -output "$out/libraries/$name/libinkling_ffi.a"
    else
        scripts/cross/macho.py join "$out/libraries/$name/libinkling_ffi.a" "${slices[@]}"
    fi
    libraries+=("$out/libraries/$name/libinkling_ffi.a")
}
rm -rf "$out/libraries" "$out/headers"
platform device aarch64-apple-ios
platform simulator aarch64-apple-ios-sim x86_64-apple-ios
platform mac aarch64-apple-darwin x86_64-apple-darwin

# The headers come from the same sources as the library.
scripts/bindings.sh swift
mkdir -p "$out/headers/InklingFFIC"
cp target/bindings/swift/InklingFFIC.h "$out/headers/InklingFFIC/"
cp target/bindings/swift/InklingFFIC.modulemap "$out/headers/InklingFFIC/module.modulemap"

framework="$out/InklingFFI.xcframework"
if [ -n "$xcode" ]; then
    say "XCFramework, by Xcode"
    arguments=()
    for library in "${libraries[@]}"; do arguments+=(-library "$library" -headers "$out/headers"); done
    rm -rf "$framework"
    xcodebuild -create-xcframework "${arguments[@]}" -output "$framework" >/dev/null
else
    say "XCFramework, written without Xcode, which is not here"
    scripts/cross/xcframework.py make "$framework" "$out/headers" "${libraries[@]}"
fi
scripts/cross/xcframework.py check "$framework"
[ ${#targets[@]} -lt ${#all[@]} ] || scripts/cross/xcframework.py zip "$framework"

[[ " ${targets[*]} " != *" aarch64-apple-ios "* ]] ||
    scripts/cross/ios-size.sh "$cross_dir/aarch64-apple-ios/phone/libinkling_ffi.a"
