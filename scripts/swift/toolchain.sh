# Sourced after prepare.sh by scripts that need Swift: offers find_swift, which looks for one or makes one,
# with_swift COMMAND..., which runs a command with it, in this folder, and swift_path FILE, which says where such a command
# finds a file of the cache folder.

SWIFT_ROOT="$INKLING_CACHE/swift"
swift_is=""

# skip_swift WHY HOW: says that Swift cannot be had here.
skip_swift() {
    echo "SKIPPED: the Swift package was not tested: $1." >&2
    echo "         To get it: $2" >&2
    return 1
}

# find_swift: fails, having said why, if there is no Swift 6.
find_swift() {
    local found
    found=$(swift --version 2>/dev/null | grep -oE "Swift version [0-9]+[0-9.]*" | head -1 || true)
    if [ -n "$found" ] && [ "$(tr -dc '0-9.' <<<"$found" | cut -d. -f1)" -ge 6 ]; then
        swift_is="${found/Swift version/installed:}"
        return 0
    fi
    local how="install Swift 6 from https://www.swift.org/install and run this again"
    [ "$(uname)" = Linux ] || { skip_swift "no Swift 6 is installed" "install Xcode 16 or newer" || return 1; }
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo)
        sudo -n true 2>/dev/null || { skip_swift "no Swift 6 is installed, and making one here needs root" "$how" || return 1; }
    fi
    swift_is="Debian trixie's, in $SWIFT_ROOT"
    [ -d "$SWIFT_ROOT" ] || make_swift || return 1
}

# make_swift: a Debian with Swift; it appears under its name only when it is whole.
make_swift() {
    local how="install Swift 6 from https://www.swift.org/install, or make debootstrap work, and run this again"
    if ! command -v debootstrap >/dev/null; then
        command -v apt-get >/dev/null || { skip_swift "no Swift 6 is installed, nor debootstrap to get one" "$how" || return 1; }
        (install_packages debootstrap debian-archive-keyring) ||
            { skip_swift "debootstrap cannot be installed" "$how" || return 1; }
    fi
    exec 8>"$INKLING_CACHE/swift.lock"
    flock 8
    if [ ! -d "$SWIFT_ROOT" ]; then
        say "making a Debian with Swift in $SWIFT_ROOT (5 minutes, 3.5 GB, once)"
        # What an interrupted run left behind.
        "${as_root[@]}" rm -rf --one-file-system "$SWIFT_ROOT".new.*
        local next="$SWIFT_ROOT.new.$$" packages=swiftlang,libc6-dev,g++,ca-certificates
        if ! "${as_root[@]}" debootstrap --variant=minbase --include="$packages" trixie "$next" >"$SWIFT_ROOT.log" 2>&1; then
            tail -5 "$SWIFT_ROOT.log" >&2
            "${as_root[@]}" rm -rf --one-file-system "$next"
            skip_swift "debootstrap failed; its log is $SWIFT_ROOT.log" "$how" || return 1
        fi
        "${as_root[@]}" chroot "$next" apt-get clean
        "${as_root[@]}" mv -T "$next" "$SWIFT_ROOT"
    fi
    exec 8>&-
}

# with_swift COMMAND...: runs it with Swift, in this folder and as this user. What is mounted for that is seen by the
# command alone and gone when it ends, however it ends.
with_swift() {
    mkdir -p target/swift/tmp
    case "$swift_is" in
        installed*) TMPDIR="$PWD/target/swift/tmp" "$@" ;;
        *)
            # shellcheck disable=SC2016  # the inner shell expands it
            "${as_root[@]}" unshare --mount --propagation private bash -euc '
                root=$1 user=$2 folder=$3 cache=$4
                shift 4
                mount -t proc proc "$root/proc"
                mount --bind /dev "$root/dev"
                mount -t tmpfs tmpfs "$root/mnt"
                mkdir "$root/mnt/inkling" "$root/mnt/cache"
                mount --bind "$folder" "$root/mnt/inkling"
                mount --bind "$cache" "$root/mnt/cache"
                mount --bind "$folder/target/swift/tmp" "$root/tmp"
                exec chroot --userspec="$user" "$root" env HOME=/mnt/inkling/target/swift/home LC_ALL=C.UTF-8 \
                    sh -c "cd /mnt/inkling && exec \"\$@\"" sh "$@"
            ' bash "$SWIFT_ROOT" "$(id -u):$(id -g)" "$PWD" "$INKLING_CACHE" "$@"
            ;;
    esac
}

swift_path() {
    case "$swift_is" in
        installed*) echo "$1" ;;
        *) echo "/mnt/cache/${1#"$INKLING_CACHE/"}" ;;
    esac
}
