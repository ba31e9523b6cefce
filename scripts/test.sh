#!/usr/bin/env bash
# Everything that must hold: lint, all Rust tests, the documentation, cross builds, Kotlin, Android, the NEON kernels
# under qemu, Swift.
source "$(dirname "$0")/prepare.sh"

scripts/lint.sh
say "tests (comparisons with the reference folder are left to make conformance)"
INKLING_REFERENCE=none cargo test --workspace --quiet
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
say "what apps ship: libraries for Android and iPhones"
scripts/test-cross.sh
say "Kotlin"
scripts/test-kotlin.sh
say "Android library, with the native code from above where that could be built"
scripts/test-android.sh
say "NEON kernels under qemu"
scripts/test-neon.sh
scripts/test-swift.sh
