#!/usr/bin/env python3
"""Reads ELF files (64 bits, little-endian): what a library asks of Android, and what it offers.

elf.py check ABI LIBRARY   fails with a list of everything about the library that Android would not take
elf.py object MACHINE OUT  writes an object that holds nothing, for a linker that wants one
"""

import pathlib
import re
import struct
import sys
from dataclasses import dataclass, field

MACHINES = {"arm64-v8a": 183, "aarch64": 183, "x86_64": 62}
PAGE = 16384
NAME = "libinkling_ffi.so"
# The system's libraries that every app may use; see bionic-names.py.
SYSTEM = ("libc", "libm", "libdl", "liblog")
# What UniFFI exports, the descriptions that its code is written from, and what Java's virtual machine looks for.
EXPORTS = re.compile(r"(uniffi|ffi)_inkling_\w+|UNIFFI_META_\w+|JNI_OnLoad|Java_dev_inkling_\w+")
# Some that must be there, or the patterns above have matched nothing.
MUST_EXPORT = {"JNI_OnLoad", "uniffi_inkling_ffi_fn_constructor_ffiengine_new", "ffi_inkling_ffi_rustbuffer_alloc"}

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_STACK, PT_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
DT_NEEDED, DT_STRTAB, DT_SYMTAB, DT_SONAME, DT_TEXTREL, DT_FLAGS = 1, 5, 6, 14, 22, 30
DF_TEXTREL = 4
SHT_SYMTAB, SHT_DYNSYM = 2, 11


class Malformed(Exception):
    """The file is no ELF file of the kind that is read here."""


@dataclass
class Library:
    """What the dynamic linker sees of a shared library."""

    machine: int
    kind: int
    segments: list[tuple] = field(default_factory=list)  # type, flags, offset, address, file size, memory size, alignment
    dynamic: list[tuple[int, int]] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    name: str = ""
    exports: set[str] = field(default_factory=set)
    undefined: set[str] = field(default_factory=set)  # without those that may be missing (weak)
    has_symbol_table: bool = False


def read(data: bytes) -> Library:
    """Reads a library."""
    try:
        return _read(data)
    except (struct.error, ValueError, IndexError) as error:
        raise Malformed(f"cut short or damaged: {error}") from error


def _read(data: bytes) -> Library:
    if data[:7] != b"\x7fELF\x02\x01\x01":
        raise Malformed("not an ELF file of 64 bits, little-endian")
    kind, machine, _, _, segments_at, sections_at, _, _, _, segments, section_size, sections, _ = struct.unpack_from(
        "<HHIQQQIHHHHHH", data, 16
    )
    library = Library(machine, kind)
    for index in range(segments):
        tag, flags, offset, address, _, in_file, in_memory, alignment = struct.unpack_from(
            "<IIQQQQQQ", data, segments_at + 56 * index
        )
        library.segments.append((tag, flags, offset, address, in_file, in_memory, alignment))

    def offset_of(address: int) -> int:
        for tag, _, offset, start, in_file, _, _ in library.segments:
            if tag == PT_LOAD and start <= address < start + in_file:
                return offset + address - start
        raise Malformed(f"address {address:#x} is in no segment")

    def text(at: int) -> str:
        return data[at : data.index(b"\0", at)].decode()

    for tag, _, offset, _, in_file, _, _ in library.segments:
        if tag == PT_DYNAMIC:
            library.dynamic = [pair for pair in struct.iter_unpack("<QQ", data[offset : offset + in_file]) if pair[0]]
    values = dict(library.dynamic)
    strings = offset_of(values[DT_STRTAB]) if DT_STRTAB in values else 0
    library.needed = [text(strings + value) for tag, value in library.dynamic if tag == DT_NEEDED]
    library.name = text(strings + values[DT_SONAME]) if DT_SONAME in values else ""
    for index in range(sections):
        _, tag, _, _, offset, size, _, _, _, _ = struct.unpack_from("<IIQQQQIIQQ", data, sections_at + section_size * index)
        library.has_symbol_table |= tag == SHT_SYMTAB
        if tag == SHT_DYNSYM:
            for symbol, info, _, section, _, _ in struct.iter_unpack("<IBBHQQ", data[offset : offset + size]):
                binding = info >> 4
                if section != 0 and binding in (1, 2):
                    library.exports.add(text(strings + symbol))
                elif section == 0 and binding == 1:
                    library.undefined.add(text(strings + symbol))
    return library


def system_names() -> set[str]:
    """All that the system's libraries export at the oldest API."""
    folder = pathlib.Path(__file__).parent / "bionic"
    return {name for library in SYSTEM for name in (folder / f"{library}.txt").read_text().split()}


def complaints(library: Library, abi: str) -> list[str]:
    """What Android would not take, or would take badly."""
    found = []

    def expect(condition: bool, complaint: str) -> None:
        if not condition:
            found.append(complaint)

    expect(library.kind == 3 and library.machine == MACHINES[abi], f"is no shared library for {abi}")
    tags = {segment[0] for segment in library.segments}
    loads = [segment for segment in library.segments if segment[0] == PT_LOAD]
    expect(bool(loads), "has nothing to load")
    for _, flags, offset, address, _, _, alignment in loads:
        fits = alignment >= PAGE and alignment % PAGE == 0 and offset % PAGE == address % PAGE
        expect(fits, f"has a segment at {address:#x} that is not aligned to {PAGE}: {alignment}")
        expect(flags & 3 != 3, f"has a segment at {address:#x} that can be written and run")
    # What is made read-only after loading must share no page with what stays writable.
    for tag, _, _, address, _, in_memory, _ in library.segments:
        end = -(-(address + in_memory) // PAGE) * PAGE
        shared = [start for _, flags, _, start, _, _, _ in loads if flags & 2 and address + in_memory <= start < end]
        expect(tag != PT_RELRO or not shared, "has read-only data that shares a page with other data")
    expect(PT_RELRO in tags, "leaves its tables of addresses open to writing")
    stacks = [segment for segment in library.segments if segment[0] == PT_STACK]
    expect(len(stacks) == 1 and not stacks[0][1] & 1, "asks for a stack that can be run")
    expect(PT_INTERP not in tags, "asks for an interpreter")
    allowed = {f"{name}.so" for name in SYSTEM}
    expect(set(library.needed) <= allowed, f"needs {sorted(set(library.needed) - allowed)}")
    expect("libc.so" in library.needed, "does not say that it needs libc.so")
    expect(library.name == NAME, f"calls itself {library.name or 'nothing'}")
    flags = dict(library.dynamic)
    expect(DT_TEXTREL not in flags and not flags.get(DT_FLAGS, 0) & DF_TEXTREL, "changes its code when it is loaded")
    unknown = sorted(library.undefined - system_names())
    expect(not unknown, f"wants what the system has not at API 26: {unknown}")
    others = sorted(name for name in library.exports if not EXPORTS.fullmatch(name))
    expect(not others, f"exports more than its functions: {others[:10]}")
    missing = sorted(MUST_EXPORT - library.exports)
    expect(not missing, f"does not export {missing}")
    expect(not library.has_symbol_table, "is not stripped")
    return found


def check(abi: str, path: str) -> int:
    library = read(pathlib.Path(path).read_bytes())
    found = complaints(library, abi)
    for complaint in found:
        print(f"{path} {complaint}", file=sys.stderr)
    if not found:
        kinds = (len(library.exports), len(library.undefined))
        print(f"{path}: exports {kinds[0]} names, takes {kinds[1]} from {', '.join(library.needed)}; aligned to {PAGE}")
    return 1 if found else 0


def empty_object(machine: str, path: str) -> int:
    """An ELF header and one empty section."""
    header = struct.pack("<HHIQQQIHHHHHH", 1, MACHINES[machine], 1, 0, 0, 64, 0, 64, 0, 0, 64, 1, 0)
    pathlib.Path(path).write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + header + bytes(64))
    return 0


if __name__ == "__main__":
    commands = {"check": check, "object": empty_object}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    try:
        sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
    except Malformed as error:
        sys.exit(f"{sys.argv[3]} is {error}")
