#!/usr/bin/env bash
# Tests the CPU back end's NEON kernels on a machine that has none: builds for AArch64 and runs under qemu, once for
# each kind of core (without dot products, with them, with everything).
#
# Needs a compiler with AArch64's standard library, a cross linker and qemu-user. Debian's packages are installed where
# that is possible (root, apt); a rustup target is taken where it is there. What is missing is said, and is an error
# only with INKLING_REQUIRE_NEON.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
sysroot=/usr/aarch64-linux-gnu
cores=(cortex-a53 cortex-a76 max)

skip() {
    echo "NEON tests skipped: $1" >&2
    echo "  On Debian, as root: dpkg --add-architecture arm64 && apt-get update && apt-get install $packages" >&2
    echo "  Elsewhere: rustup target add $target, a linker aarch64-linux-gnu-gcc, and qemu-aarch64." >&2
    if [ -n "${INKLING_REQUIRE_NEON:-}" ]; then exit 1; fi
    exit 0
}
packages="rustc-web cargo-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"

if [ "$(uname -s)" != Linux ]; then skip "qemu's user mode needs Linux"; fi
if [ "$(uname -m)" = aarch64 ]; then
    # The ordinary tests have run these kernels already.
    echo "This machine is AArch64: the NEON kernels are covered by the ordinary tests."
    exit 0
fi

has_rustup_target() { rustup target list --installed 2>/dev/null | grep -qx "$target"; }
has_debian_target() { [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && [ -d "/usr/lib/rustlib/$target/lib" ]; }
has_tools() { command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null && [ -d "$sysroot" ]; }
complete() { { has_rustup_target || has_debian_target; } && has_tools; }

if ! complete; then
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then skip "tools are missing and there is no apt"; fi
    if [ "$(id -u)" != 0 ]; then skip "tools are missing and installing them takes root"; fi
    wanted="$packages"
    if has_rustup_target; then wanted="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"; fi
    log=$(mktemp)
    echo "installing: $wanted"
    if ! { dpkg --add-architecture arm64 && apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $wanted; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        skip "apt could not install $wanted"
    fi
    rm -f "$log"
    if ! complete; then skip "something is still missing after installing $wanted"; fi
fi

if has_rustup_target; then
    cargo=(cargo)
else
    # Debian's compiler, beside whatever rustup has: both stay as they are.
    cargo=(env -u RUSTUP_TOOLCHAIN RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc /usr/bin/cargo)
fi
export CARGO_TARGET_DIR="$PWD/target/neon"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# What the kernels are made of, and a whole model by every instruction set. Tests of the format are not repeated here.
tests=(-p inkling-compute-cpu --target "$target" --lib --test same_bits)

"${cargo[@]}" --version
"${cargo[@]}" test "${tests[@]}" --no-run
for core in "${cores[@]}"; do
    echo "== qemu, $core"
    # The library path keeps the loader and the C library of one version together: without it the loader of the cross
    # packages finds the C library of another package through the cache, and the first thread hangs.
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L $sysroot -E LD_LIBRARY_PATH=$sysroot/lib -cpu $core" \
        "${cargo[@]}" test -q "${tests[@]}"
done
