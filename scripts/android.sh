#!/usr/bin/env bash
# android.sh [--libraries]: builds the library for Android, arm64-v8a and x86_64, to target/android/jniLibs, checks what
# came out (scripts/cross/elf.py), holds its size against scripts/code_size.json, and makes the AAR of it
# (scripts/aar.sh; not with --libraries). Unstripped libraries, for crash reports, stay in target/android/symbols.
#
# With an NDK (ANDROID_NDK_HOME, ANDROID_NDK_ROOT or the newest in ANDROID_HOME/ndk) it links with that. Without one it
# links against stubs: libraries that export the names of bionic's functions at API 26 and hold nothing, and LLVM's
# unwinder as Debian has it. That shows that the library links, how large it is and how it is laid out; a release is
# made with the NDK.
source "$(dirname "$0")/prepare.sh"
source scripts/cross/toolchain.sh
need python3 python3

api=26
out=target/android
targets=(aarch64-linux-android x86_64-linux-android)

ndk="${ANDROID_NDK_HOME:-${ANDROID_NDK_ROOT:-}}"
[ -n "$ndk" ] || [ -z "${ANDROID_HOME:-}" ] ||
    ndk=$(find "$ANDROID_HOME/ndk" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort -V | tail -1 || true)

# stubs TARGET EMULATION DEBIAN-ARCHITECTURE MACHINE: stand-ins for what the NDK would bring, for one target.
stubs() {
    local target=$1 emulation=$2 architecture=$3 machine=$4 stubs="$cross_dir/stubs/$1" library
    mkdir -p "$stubs"
    scripts/cross/elf.py object "$machine" "$stubs/empty.o"
    for library in libc libm libdl liblog; do
        sed 's/$/ = 0;/' "scripts/cross/bionic/$library.txt" >"$stubs/$library.ld"
        "$lld/ld.lld" -m "$emulation" -shared -soname "$library.so" -o "$stubs/$library.so" \
            "$stubs/empty.o" "$stubs/$library.ld"
    done
    # The unwinder asks for it by name; in bionic it is a part of libc.
    printf '!<arch>\n' >"$stubs/libpthread.a"
    # It was compiled for glibc. Three of glibc's own names are in it: its messages before it gives up, and the place of
    # errno, which bionic has under another name. The messages go.
    llvm objcopy --redefine-sym __fprintf_chk=abort --redefine-sym __assert_fail=abort \
        --redefine-sym __errno_location=__errno "$(unwinder "$architecture")" "$stubs/libunwind.a" 2>/dev/null
}

# download DEBIAN-ARCHITECTURE: gets the package with the unwinder; its version differs from one Debian to the next.
download() {
    apt-get download -qq "libunwind-19-dev:$1" 2>/dev/null || apt-get download -qq "libunwind-14-dev:$1" 2>/dev/null
}

# unwinder DEBIAN-ARCHITECTURE: where libunwind.a is; unpacked in the cache folder, since it cannot be installed beside
# others of its kind.
unwinder() {
    local folder="$INKLING_CACHE/libunwind/$1" next="$INKLING_CACHE/libunwind/$1.$$"
    if [ ! -d "$folder" ]; then
        mkdir -p "$next"
        (
            cd "$next"
            download "$1" || { [ "$(id -u)" = 0 ] && apt-get update -qq && download "$1"; }
            dpkg-deb -x libunwind-*.deb . && rm libunwind-*.deb
        ) >&2 || cannot "Debian's libunwind for $1 cannot be had"
        mv "$next" "$folder"
    fi
    find -L "$folder" -path '*/llvm-*/lib/libunwind.a' | head -1
}

# link TARGET LINKER FLAGS...: tells cargo how to link for a target.
link() {
    local name linker=$2
    name=$(tr a-z- A-Z_ <<<"$1")
    shift 2
    export "CARGO_TARGET_${name}_LINKER=$linker" "CARGO_TARGET_${name}_RUSTFLAGS=$*"
}

flags=()
# What both ways ask of the linker: pages of 16 KiB, a name, and the relocations packed, which Android reads from API 23
# on.
for option in -z,max-page-size=16384 -soname,libinkling_ffi.so --pack-dyn-relocs=android --no-undefined; do
    flags+=("-C link-arg=-Wl,$option")
done
if [ -n "$ndk" ]; then
    say "linking with the NDK in $ndk"
    tools=$(find "$ndk/toolchains/llvm/prebuilt" -mindepth 1 -maxdepth 1 -type d | head -1)/bin
    [ -x "$tools/clang" ] || cannot "there is no compiler in $tools"
    for target in "${targets[@]}"; do link "$target" "$tools/$target$api-clang" "${flags[@]}"; done
    strip() { "$tools/llvm-strip" "$@"; }
else
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        cannot "no NDK is here: install one and set ANDROID_NDK_HOME (linking without one takes Debian's packages)"
    say "linking against stubs of bionic at API $api: no NDK (ANDROID_NDK_HOME). Not for release"
    need_lld
    need_llvm
    for architecture in arm64 amd64; do
        [ -d "$INKLING_CACHE/libunwind/$architecture" ] || [ "$(dpkg --print-architecture)" = "$architecture" ] ||
            dpkg --print-foreign-architectures | grep -qx "$architecture" || {
            [ "$(id -u)" = 0 ] ||
                cannot "as root: dpkg --add-architecture $architecture && apt-get update; or set ANDROID_NDK_HOME"
            dpkg --add-architecture "$architecture" && apt-get update -qq
        }
    done
    export INKLING_LLD="$lld/ld.lld"
    stubs aarch64-linux-android aarch64linux arm64 aarch64
    stubs x86_64-linux-android elf_x86_64 amd64 x86_64
    for target in "${targets[@]}"; do
        link "$target" "$PWD/scripts/cross/cc.sh" "${flags[@]}" "-L $cross_dir/stubs/$target"
    done
    strip() { llvm strip "$@"; }
fi

build cdylib "${targets[@]}"

rm -rf "$out/jniLibs" "$out/symbols"
for pair in aarch64-linux-android:arm64-v8a x86_64-linux-android:x86_64; do
    target=${pair%:*} abi=${pair#*:}
    mkdir -p "$out/jniLibs/$abi" "$out/symbols/$abi"
    cp "$cross_dir/$target/phone/libinkling_ffi.so" "$out/symbols/$abi/"
    strip -o "$out/jniLibs/$abi/libinkling_ffi.so" "$out/symbols/$abi/libinkling_ffi.so"
    scripts/cross/elf.py check "$abi" "$out/jniLibs/$abi/libinkling_ffi.so"
    scripts/code-size.py "android $abi" "$(wc -c <"$out/jniLibs/$abi/libinkling_ffi.so")"
done
[ "${1:-}" = --libraries ] || scripts/aar.sh "$out/jniLibs"
