#!/usr/bin/env bash
# Sourced behind prepare.sh by what needs Java: installs a JDK and Maven where that may be done, and ends the script well, with the reason,
# where it may not.

missing=()
java -version >/dev/null 2>&1 && javac -version >/dev/null 2>&1 || missing+=(openjdk-17-jdk-headless)
mvn -v >/dev/null 2>&1 || missing+=(maven)
if [ ${#missing[@]} -gt 0 ]; then
    if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
        install_packages "${missing[@]}"
    else
        echo "SKIPPED: $(basename "$0") needs a JDK (17 or newer) and Maven; missing here: ${missing[*]}" >&2
        exit 0
    fi
fi
need python3 python3
