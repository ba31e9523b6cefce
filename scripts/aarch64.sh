# Sourced by scripts that build for AArch64 and run under qemu. Offers `need_aarch64`, which sets `target`, `cargo` and
# `qemu` and exports what cargo needs; it installs Debian's packages where that is possible (root, apt), and takes
# rustup's target where it is there. `need_aarch64 gcc` asks for a C++ compiler and static libraries as well. Where
# something is missing it fails and says in `missing` what.
target=aarch64-unknown-linux-gnu
sysroot=/usr/aarch64-linux-gnu
missing=
# The library path keeps the loader and the C library of one version together: without it the loader of the cross
# packages finds the C library of another package through the cache, and the first thread hangs.
qemu=(qemu-aarch64 -L "$sysroot" -E "LD_LIBRARY_PATH=$sysroot/lib")

has_rustup_target() { rustup target list --installed 2>/dev/null | grep -qx "$target"; }
has_debian_target() { [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && [ -d "/usr/lib/rustlib/$target/lib" ]; }
has_tools() {
    command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null && [ -d "$sysroot" ] &&
        { [ "$1" != gcc ] || command -v aarch64-linux-gnu-g++ >/dev/null; }
}
has_aarch64() { { has_rustup_target || has_debian_target; } && has_tools "$1"; }

need_aarch64() {
    local more=${1:-} wanted="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" log
    [ "$more" != gcc ] || wanted="$wanted g++-aarch64-linux-gnu"
    has_rustup_target || wanted="rustc-web cargo-web libstd-rust-web-dev:arm64 $wanted"
    if ! has_aarch64 "$more"; then
        missing="On Debian, as root: dpkg --add-architecture arm64 && apt-get update && apt-get install $wanted
  Elsewhere: rustup target add $target, a cross compiler aarch64-linux-gnu-gcc, and qemu-aarch64."
        if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
            missing="tools are missing and there is no apt
  $missing"
            return 1
        fi
        if [ "$(id -u)" != 0 ]; then
            missing="tools are missing and installing them takes root
  $missing"
            return 1
        fi
        log=$(mktemp)
        echo "installing: $wanted" >&2
        # shellcheck disable=SC2086 # Words.
        if ! { dpkg --add-architecture arm64 && apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $wanted; } >"$log" 2>&1; then
            tail -n 5 "$log" >&2
            return 1
        fi
        rm -f "$log"
        has_aarch64 "$more" || return 1
    fi
    cargo=(cargo)
    # Debian's compiler, beside whatever rustup has: both stay as they are.
    has_rustup_target || cargo=(env -u RUSTUP_TOOLCHAIN RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc /usr/bin/cargo)
    export CARGO_TARGET_DIR="$PWD/target/neon"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
}
