#!/usr/bin/env bash
# What rustc takes for a C compiler that links (by its name, too): hands its arguments to lld ($INKLING_LLD), without
# those that only a compiler understands. There are no start files and no libraries that a compiler would add by itself.
set -euo pipefail
arguments=()
for argument in "$@"; do
    case "$argument" in
    -Wl,*)
        IFS=, read -ra parts <<<"${argument#-Wl,}"
        arguments+=("${parts[@]}")
        ;;
    -nodefaultlibs | -nostartfiles | -nostdlib | -m64 | -fuse-ld=* | --target=*) ;;
    *) arguments+=("$argument") ;;
    esac
done
exec "$INKLING_LLD" "${arguments[@]}"
