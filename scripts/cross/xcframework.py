#!/usr/bin/env python3
"""Makes and checks an XCFramework of static libraries, where there is no xcodebuild to do it.

xcframework.py make OUT HEADERS LIBRARY...   copies the libraries, each with the headers, and describes them
xcframework.py check OUT                     fails with a list of what Xcode or an app would stumble over
xcframework.py zip OUT                       packs it and writes its checksum (SHA-256, as `swift package compute-checksum`)

HEADERS holds one folder, named as the module, with the header and the module map: a second UniFFI library in the same
app brings a `module.modulemap` too, and all headers of an app are copied into one folder.
"""

import hashlib
import pathlib
import plistlib
import re
import shutil
import sys
import zipfile

import macho

# What the objects say, and what the description calls it: a platform, a variant of it, the end of the folder's name.
PLATFORMS = {"ios": ("ios", None), "ios-simulator": ("ios", "simulator"), "macos": ("macos", None)}


def inspect(library: pathlib.Path) -> tuple[list[str], str]:
    """Processors and system of a library."""
    found = macho.describe(library.read_bytes())
    systems = set().union(*found.values())
    # Intel's simulator has its own system in new objects only; in old ones it is iOS, which never ran on Intel.
    if "x86_64" in found and systems <= {"ios", "ios-simulator"}:
        systems = {"ios-simulator"}
    if len(systems) != 1 or not systems <= PLATFORMS.keys():
        raise macho.Malformed(f"made for {sorted(systems) or 'no system'}")
    return sorted(found), systems.pop()


def make(out: pathlib.Path, headers: pathlib.Path, libraries: list[pathlib.Path]) -> None:
    """Writes the framework; what was there before goes."""
    shutil.rmtree(out, ignore_errors=True)
    entries = []
    for library in libraries:
        processors, system = inspect(library)
        platform, variant = PLATFORMS[system]
        identifier = "-".join(filter(None, [platform, "_".join(processors), variant]))
        folder = out / identifier
        folder.mkdir(parents=True)
        shutil.copyfile(library, folder / library.name)
        shutil.copytree(headers, folder / "Headers")
        entry = {
            "BinaryPath": library.name,
            "HeadersPath": "Headers",
            "LibraryIdentifier": identifier,
            "LibraryPath": library.name,
            "SupportedArchitectures": processors,
            "SupportedPlatform": platform,
        }
        entries.append(entry | ({"SupportedPlatformVariant": variant} if variant else {}))
    description = {
        "AvailableLibraries": entries,
        "CFBundlePackageType": "XFWK",
        "XCFrameworkFormatVersion": "1.0",
    }
    (out / "Info.plist").write_bytes(plistlib.dumps(description))


def complaints(out: pathlib.Path) -> list[str]:
    """What is wrong with a framework."""
    try:
        description = plistlib.loads((out / "Info.plist").read_bytes())
    except (OSError, plistlib.InvalidFileException, ValueError) as error:
        return [f"Info.plist cannot be read: {error}"]
    except Exception as error:  # What XML's parser throws is its own.
        return [f"Info.plist is no property list: {error}"]
    found = []
    if description.get("CFBundlePackageType") != "XFWK" or description.get("XCFrameworkFormatVersion") != "1.0":
        found.append("Info.plist does not describe an XCFramework")
    entries = description.get("AvailableLibraries", [])
    if not entries:
        found.append("no library is listed")
    folders = {entry.get("LibraryIdentifier") for entry in entries}
    unlisted = sorted({path.name for path in out.iterdir()} - folders - {"Info.plist"})
    if unlisted:
        found.append(f"{unlisted} are not listed")
    kinds = [(entry.get("SupportedPlatform"), entry.get("SupportedPlatformVariant")) for entry in entries]
    if len(set(kinds)) != len(kinds):
        found.append("two libraries are for the same platform")
    for entry in entries:
        found += [f"{entry.get('LibraryIdentifier')}: {complaint}" for complaint in _complaints(out, entry)]
    return found


def _complaints(out: pathlib.Path, entry: dict) -> list[str]:
    folder = out / entry["LibraryIdentifier"]
    library, headers = folder / entry["LibraryPath"], folder / entry.get("HeadersPath", "no headers")
    if not library.is_file():
        return [f"{entry['LibraryPath']} is missing"]
    found = []
    try:
        processors, system = inspect(library)
        if processors != sorted(entry["SupportedArchitectures"]):
            found.append(f"is for {processors}, and said to be for {sorted(entry['SupportedArchitectures'])}")
        if PLATFORMS[system] != (entry["SupportedPlatform"], entry.get("SupportedPlatformVariant")):
            found.append(f"is for {system}, and said to be for another system")
    except macho.Malformed as error:
        found.append(f"{entry['LibraryPath']} is {error}")
    modules = sorted(headers.iterdir()) if headers.is_dir() else []
    if len(modules) != 1 or not modules[0].is_dir():
        return [*found, "its headers are not in one folder of their own"]
    module = modules[0]
    text = (module / "module.modulemap").read_text() if (module / "module.modulemap").is_file() else ""
    # The compiler looks for a module's map in the folder of the module's name.
    if not re.search(rf"^(framework )?module {re.escape(module.name)} \{{", text, re.MULTILINE):
        found.append(f"the module map in {module.name} does not declare {module.name}")
    for header in re.findall(r'header "([^"]+)"', text):
        if not (module / header).is_file():
            found.append(f"the header {header} is missing")
    return found


def pack(out: pathlib.Path) -> None:
    """The same files always give the same bytes."""
    archive = out.with_name(out.name + ".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in out.rglob("*") if path.is_file()):
            name = zipfile.ZipInfo(f"{out.name}/{path.relative_to(out).as_posix()}", (1980, 1, 1, 0, 0, 0))
            name.external_attr = 0o644 << 16
            packed.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED)
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_name(archive.name + ".checksum").write_text(checksum + "\n")
    print(f"{archive}: {archive.stat().st_size} bytes, checksum {checksum}")


def main() -> int:
    match sys.argv[1:]:
        case ["make", out, headers, *libraries] if libraries:
            make(pathlib.Path(out), pathlib.Path(headers), [pathlib.Path(library) for library in libraries])
        case ["check", out]:
            found = complaints(pathlib.Path(out))
            for complaint in found:
                print(f"{out}: {complaint}", file=sys.stderr)
            if not found:
                entries = plistlib.loads((pathlib.Path(out) / "Info.plist").read_bytes())["AvailableLibraries"]
                print(f"{out}: {', '.join(entry['LibraryIdentifier'] for entry in entries)}")
            return 1 if found else 0
        case ["zip", out]:
            pack(pathlib.Path(out))
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except macho.Malformed as error:
        sys.exit(f"a library is {error}")
