# Sourced after prepare.sh by the scripts that build for phones. Offers
#   build CRATE-TYPE TARGET...   builds the library for each, to $cross_dir/TARGET/phone, and says which compiler it takes
#   need_lld                     sets `lld`, a folder with linkers for Linux's and Apple's formats
#   need_llvm                    makes sure of `llvm TOOL ARGUMENTS...`
# INKLING_CROSS=rustup or build-std names the compiler to take. What is missing is installed on Debian (root, apt);
# elsewhere it is said, and the script ends.

# Flags come from the scripts alone.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
cross_dir="$PWD/target/cross"

give_up() {
    echo "$*" >&2
    exit 1
}

# cannot WHY: as give_up, with a status of its own: nothing is wrong but what is missing here.
cannot() {
    echo "$*" >&2
    exit 3
}

has_rustup_target() { rustup target list --installed 2>/dev/null | grep -qx "$1"; }
# Where rustup is, it is asked first: what it brings in seconds is built in minutes otherwise.
add_rustup_target() { timeout 120 rustup target add "$1" >/dev/null 2>&1; }
has_debian_sources() { [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src/rust/library/std ]; }

# choose TARGET: sets `cargo` (the command) and `std` (more arguments).
choose() {
    local way="${INKLING_CROSS:-}"
    if [ -z "$way" ]; then
        if has_rustup_target "$1" || add_rustup_target "$1"; then way=rustup; else way=build-std; fi
    fi
    case "$way" in
    rustup)
        has_rustup_target "$1" || cannot "the standard library for $1 is missing: rustup target add $1"
        cargo=(cargo)
        std=()
        say "$1: $(rustc --version), with the standard library that rustup has for it"
        ;;
    build-std)
        if ! has_debian_sources; then
            command -v apt-get >/dev/null || cannot "the standard library for $1 is missing: rustup target add $1"
            install_packages rustc-web cargo-web rust-web-src
        fi
        # Debian's compiler, beside whatever rustup has: both stay as they are. It has no standard library for phones,
        # but its source, and may build it: RUSTC_BOOTSTRAP permits -Z on a release.
        cargo=(env -u RUSTUP_TOOLCHAIN RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo)
        std=(-Z "build-std=std,panic_unwind")
        say "$1: Debian's $(/usr/bin/rustc --version), which builds the standard library as well"
        ;;
    *) give_up "INKLING_CROSS is rustup or build-std, not $way" ;;
    esac
}

build() {
    local type=$1 target start
    shift
    for target in "$@"; do
        choose "$target"
        start=$SECONDS
        # The bash of Macs takes an empty list for an unset variable.
        env CARGO_TARGET_DIR="$cross_dir" "${cargo[@]}" rustc --quiet -p inkling-uniffi --lib --crate-type "$type" \
            --profile phone ${std[@]+"${std[@]}"} --target "$target"
        echo "built in $((SECONDS - start)) s" >&2
    done
}

# The newest of several versions: NAME or NAME-NUMBER.
newest() { compgen -c "$1" | grep -E "^$1(-[0-9]+)?\$" | sort -t- -k2 -V | tail -1; }

need_lld() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    # Rust's compiler brings one.
    lld="$(rustc --print sysroot)/lib/rustlib/$host/bin/gcc-ld"
    [ ! -x "$lld/ld.lld" ] || return 0
    [ -n "$(newest ld64.lld)" ] || install_packages lld
    lld="$cross_dir/lld"
    mkdir -p "$lld"
    ln -sf "$(command -v "$(newest ld.lld)")" "$lld/ld.lld"
    ln -sf "$(command -v "$(newest ld64.lld)")" "$lld/ld64.lld"
}

need_llvm() { [ -n "$(newest llvm-objcopy)" ] || install_packages llvm; }

# llvm TOOL ARGUMENTS...
llvm() {
    local tool
    tool=$(newest "llvm-$1")
    "${tool:?no llvm-$1}" "${@:2}"
}
