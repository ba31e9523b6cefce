#!/usr/bin/env python3
"""Reads Mach-O files as far as needed to check what is built for Apple's systems, and joins libraries.

macho.py describe LIBRARY...      prints for which processors and systems static libraries are
macho.py exported LIBRARY PREFIX  prints the names beginning so that a static library gives to others
macho.py undefined FILE           prints the names that a linked file takes from others
macho.py join OUT LIBRARY...      writes one file with static libraries for several processors, as lipo does
"""

import pathlib
import struct
import sys

FAT, FAT64, OBJECT = 0xCAFEBABE, 0xCAFEBABF, 0xFEEDFACF
PROCESSORS = {0x0100000C: "arm64", 0x01000007: "x86_64"}
PLATFORMS = {1: "macos", 2: "ios", 7: "ios-simulator"}
LC_SYMTAB, LC_VERSION_MIN_MACOS, LC_VERSION_MIN_IOS, LC_BUILD_VERSION = 0x2, 0x24, 0x25, 0x32
N_STAB, N_TYPE, N_PRIVATE, N_EXTERNAL = 0xE0, 0x0E, 0x10, 0x01
SLICE_ALIGNMENT = 14
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


def members(data: bytes) -> list[bytes]:
    """The objects of a static library."""
    found, at = [], 8
    while at + 60 <= len(data):
        name, size = data[at : at + 16].decode().strip(), int(data[at + 48 : at + 58])
        body = at + 60
        # BSD's long names stand before the content, and are counted in its size.
        skip = int(name[3:]) if name.startswith("#1/") else 0
        content = data[body + skip : body + size]
        if content[:4] == struct.pack("<I", OBJECT):
            found.append(content)
        at = body + size + size % 2
    return found


def commands(content: bytes) -> list[tuple[int, int]]:
    """The load commands of a file for one processor, and where they are."""
    if content[:4] != struct.pack("<I", OBJECT):
        raise Malformed("no Mach-O file of 64 bits")
    found, at = [], 32
    for _ in range(struct.unpack_from("<I", content, 16)[0]):
        command, size = struct.unpack_from("<II", content, at)
        found.append((command, at))
        at += size
    return found


def objects(data: bytes) -> list[tuple[str, str, str]]:
    """Processor, system and oldest version of the system of every object of a static library."""
    return [_object(content) for content in members(data)]


def _object(content: bytes) -> tuple[str, str, str]:
    system, version = "unnamed", 0
    for command, at in commands(content):
        if command == LC_BUILD_VERSION:
            platform, version = struct.unpack_from("<II", content, at + 8)
            system = PLATFORMS.get(platform, f"platform {platform}")
        elif command in OLDEST_SYSTEMS:
            (version,) = struct.unpack_from("<I", content, at + 8)
            system = OLDEST_SYSTEMS[command]
    (processor,) = struct.unpack_from("<I", content, 4)
    return PROCESSORS.get(processor, hex(processor)), system, f"{version >> 16}.{version >> 8 & 255}"


def names(content: bytes) -> tuple[set[str], set[str]]:
    """The names that a file gives to others, and those that it takes from them."""
    given, taken = set(), set()
    for command, at in commands(content):
        if command != LC_SYMTAB:
            continue
        symbols, count, strings, _ = struct.unpack_from("<IIII", content, at + 8)
        for name, kind, _, _, _ in struct.iter_unpack("<IBBHQ", content[symbols : symbols + 16 * count]):
            if kind & N_STAB or kind & N_PRIVATE or not kind & N_EXTERNAL:
                continue
            start = strings + name
            text = content[start : content.index(b"\0", start)].decode()
            (given if kind & N_TYPE else taken).add(text)
    return given, taken


def describe(data: bytes) -> dict[str, set[str]]:
    """For every processor of a library the systems that its objects were compiled for."""
    return {
        processor: {system for _, system, _ in objects(inner) if system != "unnamed"}
        for processor, inner in slices(data).items()
    }


def join(libraries: list[bytes]) -> bytes:
    """A fat file of libraries for one processor each."""
    inner: dict[str, bytes] = {}
    for library in libraries:
        for processor, data in slices(library).items():
            if processor in inner:
                raise Malformed(f"a second library for {processor}")
            inner[processor] = data
    # Apple's tools name any processor of a kind by subtype 0 (arm64) and 3 (x86_64).
    numbers = {name: (number, 3 if name == "x86_64" else 0) for number, name in PROCESSORS.items()}
    head, body = struct.pack(">II", FAT, len(inner)), b""
    start = 1 << SLICE_ALIGNMENT
    for processor, data in inner.items():
        place = start + len(body)
        head += struct.pack(">IIIII", *numbers[processor], place, len(data), SLICE_ALIGNMENT)
        body += data + bytes(-len(data) % start)
    return head.ljust(start, b"\0") + body


def main() -> None:
    match sys.argv[1:]:
        case ["describe", *paths] if paths:
            for path in paths:
                found = describe(pathlib.Path(path).read_bytes())
                print(path, "; ".join(f"{name}: {', '.join(sorted(systems))}" for name, systems in found.items()))
        case ["exported", path, prefix]:
            contents = members(pathlib.Path(path).read_bytes())
            given = set().union(*(names(content)[0] for content in contents))
            print(*sorted(name for name in given if name.startswith(prefix)), sep="\n")
        case ["undefined", path]:
            print(*sorted(names(pathlib.Path(path).read_bytes())[1]), sep="\n")
        case ["join", out, *paths] if paths:
            pathlib.Path(out).write_bytes(join([pathlib.Path(path).read_bytes() for path in paths]))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except Malformed as error:
        sys.exit(f"this is {error}")
