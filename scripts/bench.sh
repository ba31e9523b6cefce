#!/usr/bin/env bash
# Measures prefill, decode, batches, load and memory on this machine beside other engines, in one interleaved run, and
# the machine's limits with them. Gets and builds all it needs; docs/performance.md says how to read the result.
# usage: scripts/bench.sh [setup | --no-setup] [SECTION...] [--only NAME] [--rounds N] [--quick] [--publish]
source "$(dirname "$0")/prepare.sh"

setup() {
    cargo build --release --quiet -p inkling-cli
    cargo build --release --quiet -p inkling-compute-cpu --example limits --example roofline
    cargo build --release --quiet -p inkling --example overhead
    scripts/bench/peers.sh || echo "llama.cpp could not be built: only Inkling is measured" >&2
    scripts/bench/models.sh
    need python3 python3
    python="$INKLING_CACHE/bench-venv/bin/python"
    if [ ! -x "$python" ]; then
        python3 -m venv "$INKLING_CACHE/bench-venv" 2>/dev/null || {
            install_packages python3-venv
            python3 -m venv "$INKLING_CACHE/bench-venv"
        }
    fi
    # resvg draws the picture as PNG; without it there is only the SVG.
    "$python" -c 'import resvg_py' 2>/dev/null ||
        "$python" -m pip install --quiet --disable-pip-version-check resvg-py==0.5.0 >&2 ||
        echo "resvg-py is not installed: no PNG is drawn" >&2
}

case "${1:-}" in
    setup) setup; exit ;;
    --no-setup) shift ;;
    *) setup ;;
esac
exec "$INKLING_CACHE/bench-venv/bin/python" scripts/bench "$@"
