#!/usr/bin/env python3
"""bionic-names.py MAP...: prints the names that bionic's libraries export to apps, from their version scripts.

A version script (`libc.map.txt`, `libm.map.txt`, `libdl.map.txt` of the Android Open Source Project's platform/bionic,
`liblog.map.txt` of platform/system/logging) lists what a library exports, and says in comments since which API level
and on which processors. The lists in `bionic/` were written by this script: the names that arm64 *and* x86_64 export
at API 26, the oldest Android that Inkling runs on. Names alone: enough to link against, nothing to run.
"""

import re
import sys

API = 26
ARCHITECTURES = ("arm64", "x86_64")
OTHERS = {"arm", "x86", "riscv64", "mips", "mips64"}
# For the system's own parts; the linker of an app's process hides them or they may go with any release.
NOT_FOR_APPS = {"apex", "llndk", "systemapi", "platform-only", "future"}
SECTIONS_NOT_FOR_APPS = re.compile(r"PRIVATE|PLATFORM|DEPRECATED|TLSDESC")


def exported(tags: list[str], architecture: str) -> bool:
    """Whether a name or section with these tags is there for apps."""
    if NOT_FOR_APPS & set(tags):
        return False
    named = {tag for tag in tags if tag in OTHERS or tag in ARCHITECTURES}
    if named and architecture not in named:
        return False
    levels = dict(tag.split("=", 1) for tag in tags if tag.startswith("introduced"))
    level = levels.get(f"introduced-{architecture}", levels.get("introduced", "0"))
    # A level for other processors alone, or one misspelt, says nothing about this one.
    return level.isdigit() and int(level) <= API


def names(text: str, architecture: str) -> set[str]:
    """The names that a version script exports to apps."""
    found, section = set(), False
    for line in text.splitlines():
        code, _, comment = line.partition("#")
        code, tags = code.strip(), comment.split()
        if code.endswith("{"):
            section = exported(tags, architecture) and not SECTIONS_NOT_FOR_APPS.search(code)
        elif code == "local:":
            section = False
        elif section and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*;", code) and exported(tags, architecture):
            found.add(code[:-1])
    return found


def main() -> None:
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for name in sorted(set.intersection(*(names(text, a) for a in ARCHITECTURES))):
            print(name)


if __name__ == "__main__":
    main()
