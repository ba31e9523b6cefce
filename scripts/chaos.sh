#!/usr/bin/env bash
# What the store must survive, at length: KILLS processes that are killed while they install, update from a signed catalogue,
# load, repair, evict and collect models from a local server, LOSSES losses of power on simulated disks, and 100,000
# operations within a budget. Prints counts and seeds; the same SEED does the same again, as far as time allows. A long run that hit no kill in one of the phases fails.
source "$(dirname "$0")/prepare.sh"

cargo build --quiet --release -p inkling-store-chaos --bin chaos
chaos="${CARGO_TARGET_DIR:-target}/release/chaos"
"$chaos" power --losses "${LOSSES:-10000}" --seed "${SEED:-1}"
"$chaos" kill --kills "${KILLS:-2000}" --seed "${SEED:-1}"
INKLING_CHAOS=10 cargo test --quiet -p inkling-store --test budget -- --nocapture
