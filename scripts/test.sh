#!/usr/bin/env bash
# Everything that must hold: lint, all Rust tests, the documentation, the NEON kernels under qemu, Kotlin, Android, Swift,
# cross builds.
source "$(dirname "$0")/prepare.sh"

scripts/lint.sh
say "tests (comparisons with the reference folder are left to make conformance)"
INKLING_REFERENCE=none cargo test --workspace --quiet
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
say "Kotlin"
scripts/test-kotlin.sh
say "Android library"
scripts/test-android.sh
say "NEON kernels under qemu"
scripts/test-neon.sh
scripts/test-swift.sh
say "what apps ship: libraries for Android and iPhones"
scripts/test-cross.sh
