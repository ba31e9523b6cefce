#!/usr/bin/env bash
# Builds llama.cpp for this machine in the cache folder, and on x86 once more without AVX-512. Its source comes with
# PyPI's source distribution of llama-cpp-python. What is there is not built again.
# usage: scripts/bench/peers.sh [native | aarch64-neon | aarch64-dotprod | aarch64-i8mm]
#   Without an argument: everything that scripts/bench.sh wants. aarch64-…: the one that scripts/bench-neon.sh wants,
#   cross-compiled, for which it has installed a compiler.
source "$(dirname "$0")/../prepare.sh"

PACKAGE=llama-cpp-python==0.3.36
peers="$INKLING_CACHE/peers"
mkdir -p "$peers"

# built FOLDER TOOL...: whether all tools of a build are there.
built() {
    local folder=$1 tool
    shift
    for tool in "$@"; do [ -x "$peers/$folder/bin/$tool" ] || return 1; done
}

fetch_source() {
    [ -f "$peers/src-llama.cpp/CMakeLists.txt" ] && return
    need_pip
    say "fetching llama.cpp's source ($PACKAGE)"
    local folder
    folder=$(mktemp -d "$peers/fetch.XXXXXX")
    python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$folder" "$PACKAGE" >&2
    tar -xzf "$folder"/*.tar.gz -C "$folder"
    rm -rf "$peers/src-llama.cpp"
    mv "$folder"/*/vendor/llama.cpp "$peers/src-llama.cpp"
    rm -rf "$folder"
}

# build FOLDER TARGETS FLAGS...: configures and compiles.
build() {
    local folder=$1 targets=$2
    shift 2
    fetch_source
    need cmake cmake
    need ninja ninja-build
    need g++ g++
    say "building $folder (some minutes, once)"
    cmake -S "$peers/src-llama.cpp" -B "$peers/$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
        -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF "$@" \
        >"$peers/$folder.log" 2>&1 || { tail -20 "$peers/$folder.log" >&2; return 1; }
    # shellcheck disable=SC2086 # TARGETS are words.
    ninja -C "$peers/$folder" $targets >>"$peers/$folder.log" 2>&1 || { tail -20 "$peers/$folder.log" >&2; return 1; }
}

case "${1:-}" in
    aarch64-neon) march=armv8-a ;;
    aarch64-dotprod) march=armv8.2-a+fp16+dotprod ;;
    aarch64-i8mm) march=armv8.2-a+fp16+dotprod+i8mm ;;
    native | "") march= ;;
    *) echo "unknown build $1" >&2; exit 2 ;;
esac
if [ -n "$march" ]; then
    built "llama.cpp-$1" llama-bench ||
        build "llama.cpp-$1" llama-bench -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_CPU_ARM_ARCH=$march \
            -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_EXE_LINKER_FLAGS=-static \
            -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
    exit
fi

built llama.cpp llama-bench llama-quantize ||
    build llama.cpp "llama-bench llama-quantize" -DGGML_NATIVE=ON
[ "${1:-}" != native ] || exit 0
if [ "$(uname -m)" = x86_64 ]; then
    built llama.cpp-avx2 llama-bench ||
        build llama.cpp-avx2 llama-bench -DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON \
            -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON
fi

# Engines from PyPI, for one line of the table each: missing ones are no failure.
if [ ! -e "$peers/venv/ready" ]; then
    need python3 python3
    [ -x "$peers/venv/bin/python" ] || python3 -m venv "$peers/venv" 2>/dev/null || {
        install_packages python3-venv
        python3 -m venv "$peers/venv"
    }
    for package in mistralrs==0.9.5 openvino-genai==2026.4.1.0; do
        say "installing $package"
        "$peers/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$package" >&2 ||
            echo "$package is not installed: pip has no build of it for this machine" >&2
    done
    touch "$peers/venv/ready"
fi
