#!/usr/bin/env python3
"""Reads Mach-O files as far as needed to say for which processors and systems a static library is.

macho.py LIBRARY...   prints that
"""

import pathlib
import struct
import sys

FAT, FAT64, OBJECT = 0xCAFEBABE, 0xCAFEBABF, 0xFEEDFACF
PROCESSORS = {0x0100000C: "arm64", 0x01000007: "x86_64"}
PLATFORMS = {1: "macos", 2: "ios", 7: "ios-simulator"}
LC_VERSION_MIN_MACOS, LC_VERSION_MIN_IOS, LC_BUILD_VERSION = 0x24, 0x25, 0x32
OLDEST_SYSTEMS = {LC_VERSION_MIN_MACOS: "macos", LC_VERSION_MIN_IOS: "ios"}


class Malformed(Exception):
    """The file is no library of the kind that is read here."""


def slices(data: bytes) -> dict[str, bytes]:
    """The libraries of a fat file by processor; a thin one is its only slice."""
    if data[:8] == b"!<arch>\n":
        found = {processor for processor, _, _ in objects(data)}
        if len(found) != 1:
            raise Malformed(f"a library with objects for {sorted(found) or 'no processor'}")
        return {found.pop(): data}
    magic, count = struct.unpack_from(">II", data, 0)
    if magic not in (FAT, FAT64) or count > 16:
        raise Malformed("neither a static library nor a fat file of such")
    step, layout = (20, ">IIIII") if magic == FAT else (32, ">IIQQII")
    result = {}
    for index in range(count):
        processor, _, offset, size, alignment = struct.unpack_from(layout, data, 8 + step * index)[:5]
        if offset % (1 << alignment) or offset + size > len(data):
            raise Malformed(f"a slice at {offset} that is cut short or not aligned")
        inner = slices(data[offset : offset + size])
        if list(inner) != [PROCESSORS.get(processor)]:
            raise Malformed(f"a slice for {PROCESSORS.get(processor, hex(processor))} that holds {list(inner)}")
        result |= inner
    return result


def objects(data: bytes) -> list[tuple[str, str, str]]:
    """Processor, system and oldest version of the system of every object of a static library."""
    found, at = [], 8
    while at + 60 <= len(data):
        name, size = data[at : at + 16].decode().strip(), int(data[at + 48 : at + 58])
        body = at + 60
        # BSD's long names stand before the content, and are counted in its size.
        skip = int(name[3:]) if name.startswith("#1/") else 0
        content = data[body + skip : body + size]
        if content[:4] == struct.pack("<I", OBJECT):
            found.append(_object(content))
        at = body + size + size % 2
    return found


def _object(content: bytes) -> tuple[str, str, str]:
    processor, _, _, commands = struct.unpack_from("<IIII", content, 4)
    system, oldest, at = "unnamed", "", 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", content, at)
        if command == LC_BUILD_VERSION:
            platform, version = struct.unpack_from("<II", content, at + 8)
            system, oldest = PLATFORMS.get(platform, f"platform {platform}"), f"{version >> 16}.{version >> 8 & 255}"
        elif command in OLDEST_SYSTEMS:
            (version,) = struct.unpack_from("<I", content, at + 8)
            system, oldest = OLDEST_SYSTEMS[command], f"{version >> 16}.{version >> 8 & 255}"
        at += size
    return PROCESSORS.get(processor, hex(processor)), system, oldest


def describe(data: bytes) -> dict[str, set[str]]:
    """For every processor of a library the systems that its objects were compiled for."""
    return {
        processor: {system for _, system, _ in objects(inner) if system != "unnamed"}
        for processor, inner in slices(data).items()
    }


if __name__ == "__main__":
    for path in sys.argv[1:]:
        found = describe(pathlib.Path(path).read_bytes())
        print(path, "; ".join(f"{processor}: {', '.join(sorted(systems))}" for processor, systems in found.items()))
