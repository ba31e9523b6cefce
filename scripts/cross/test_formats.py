#!/usr/bin/env python3
"""Shows that the checks of built libraries can fail: damages copies of real ones, and expects the complaint.

Run by scripts/test-cross.sh, which has built them: test_formats.py LIBRARY-FOR-ANDROID XCFRAMEWORK
"""

import pathlib
import plistlib
import shutil
import struct
import sys
import tempfile
import unittest

import elf
import macho
import xcframework

LIBRARY, FRAMEWORK = (pathlib.Path(path) for path in sys.argv[1:3])
ABI = LIBRARY.parent.name
BYTES = LIBRARY.read_bytes()
SEGMENTS_AT, SEGMENTS = struct.unpack_from("<Q", BYTES, 32)[0], struct.unpack_from("<H", BYTES, 56)[0]


def segment(kind: int) -> int:
    """Where the description of the first segment of a kind is."""
    places = (SEGMENTS_AT + 56 * index for index in range(SEGMENTS))
    return next(place for place in places if struct.unpack_from("<I", BYTES, place)[0] == kind)


def with_bytes(place: int, new: bytes) -> bytes:
    return BYTES[:place] + new + BYTES[place + len(new) :]


def with_text(old: bytes, new: bytes) -> bytes:
    """Another name of the same length in the table of names."""
    assert len(old) == len(new) and BYTES.count(b"\0" + old + b"\0") >= 1
    return BYTES.replace(b"\0" + old + b"\0", b"\0" + new + b"\0")


def dynamic(tag: int) -> int:
    """Where an entry of the dynamic section is."""
    place = struct.unpack_from("<Q", BYTES, segment(elf.PT_DYNAMIC) + 8)[0]
    while struct.unpack_from("<Q", BYTES, place)[0] != tag:
        place += 16
    return place


class Android(unittest.TestCase):
    def complains(self, data: bytes, words: str, abi: str = ABI) -> None:
        found = elf.complaints(elf.read(data), abi)
        self.assertTrue(any(words in complaint for complaint in found), f"{words}: {found}")

    def test_the_library_is_taken(self) -> None:
        self.assertEqual(elf.complaints(elf.read(BYTES), ABI), [])

    def test_other_processors(self) -> None:
        self.complains(BYTES, "no shared library", "x86_64" if ABI != "x86_64" else "arm64-v8a")

    def test_pages_of_4_kib(self) -> None:
        self.complains(with_bytes(segment(elf.PT_LOAD) + 48, struct.pack("<Q", 4096)), "not aligned")

    def test_writable_code(self) -> None:
        self.complains(with_bytes(segment(elf.PT_LOAD) + 4, struct.pack("<I", 7)), "written and run")

    def test_a_stack_that_runs(self) -> None:
        self.complains(with_bytes(segment(elf.PT_STACK) + 4, struct.pack("<I", 7)), "stack")

    def test_a_library_that_apps_do_not_have(self) -> None:
        self.complains(with_text(b"libm.so", b"libz.so"), "needs ['libz.so']")

    def test_another_name(self) -> None:
        self.complains(with_text(b"libinkling_ffi.so", b"libinkling_xyz.so"), "calls itself")

    def test_text_relocations(self) -> None:
        flags = struct.unpack_from("<Q", BYTES, dynamic(elf.DT_FLAGS) + 8)[0] | elf.DF_TEXTREL
        self.complains(with_bytes(dynamic(elf.DT_FLAGS) + 8, struct.pack("<Q", flags)), "changes its code")

    def test_names_that_came_later(self) -> None:
        self.complains(with_text(b"pthread_detach", b"pthread_future"), "wants what the system has not")
        # `getrandom` came with API 28. The standard library uses it where it is; a library that must have it would not
        # load on older systems.
        self.assertNotIn("getrandom", elf.system_names())

    def test_foreign_exports(self) -> None:
        self.complains(with_text(b"JNI_OnLoad", b"JNI_AtLoad"), "exports more")
        self.complains(with_text(b"JNI_OnLoad", b"JNI_AtLoad"), "does not export ['JNI_OnLoad']")

    def test_damage(self) -> None:
        for length in (0, 3, 64, 100, len(BYTES) // 2):
            with self.assertRaises(elf.Malformed):
                elf.read(BYTES[:length])


class Apple(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.copy = pathlib.Path(folder.name) / FRAMEWORK.name
        shutil.copytree(FRAMEWORK, self.copy)
        self.description = plistlib.loads((self.copy / "Info.plist").read_bytes())
        self.first = self.copy / self.description["AvailableLibraries"][0]["LibraryIdentifier"]

    def complains(self, words: str) -> None:
        (self.copy / "Info.plist").write_bytes(plistlib.dumps(self.description))
        found = xcframework.complaints(self.copy)
        self.assertTrue(any(words in complaint for complaint in found), f"{words}: {found}")

    def test_the_framework_is_taken(self) -> None:
        self.assertEqual(xcframework.complaints(self.copy), [])

    def test_no_description(self) -> None:
        (self.copy / "Info.plist").write_bytes(b"<plist><dict>")
        self.assertIn("Info.plist", xcframework.complaints(self.copy)[0])

    def test_a_library_that_is_not_there(self) -> None:
        (self.first / "libinkling_ffi.a").unlink()
        self.complains("is missing")

    def test_a_library_for_others(self) -> None:
        self.description["AvailableLibraries"][0]["SupportedArchitectures"] = ["x86_64"]
        self.complains("said to be for ['x86_64']")

    def test_another_system(self) -> None:
        self.description["AvailableLibraries"][0] |= {"SupportedPlatform": "macos"}
        self.complains("another system")

    def test_half_a_library(self) -> None:
        library = self.first / "libinkling_ffi.a"
        library.write_bytes(library.read_bytes()[:8])
        self.complains("no processor")

    def test_what_is_not_listed(self) -> None:
        del self.description["AvailableLibraries"][0]
        self.complains("not listed")

    def test_twice_the_same(self) -> None:
        self.description["AvailableLibraries"] *= 2
        self.complains("same platform")

    def test_headers_that_would_meet_those_of_others(self) -> None:
        for file in (self.first / "Headers/InklingFFIC").iterdir():
            file.rename(self.first / "Headers" / file.name)
        self.complains("one folder of their own")

    def test_a_module_of_another_name(self) -> None:
        (self.first / "Headers/InklingFFIC").rename(self.first / "Headers/Other")
        self.complains("does not declare Other")

    def test_no_header(self) -> None:
        (self.first / "Headers/InklingFFIC/InklingFFIC.h").unlink()
        self.complains("InklingFFIC.h is missing")

    def test_fat_files(self) -> None:
        inner = macho.slices((self.first / "libinkling_ffi.a").read_bytes())["arm64"]
        # The same library with Intel's number in every object.
        arm, intel = struct.pack("<II", macho.OBJECT, 0x0100000C), struct.pack("<II", macho.OBJECT, 0x01000007)
        other = inner.replace(arm, intel)
        fat = macho.join([inner, other])
        self.assertEqual(macho.slices(fat), {"arm64": inner, "x86_64": other})
        with self.assertRaises(macho.Malformed):
            macho.join([inner, inner])
        # Cut short; a slice that is not what the table says.
        for data in (fat[: 16384 + len(inner) - 1], fat[:8] + struct.pack(">I", 0x01000007) + fat[12:]):
            with self.assertRaises(macho.Malformed):
                macho.slices(data)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
