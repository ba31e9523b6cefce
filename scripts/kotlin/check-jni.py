#!/usr/bin/env python3
"""check-jni.py LOG CONTROL: judges what -Xcheck:jni printed.

CONTROL is the output of JNA without Inkling. A warning in LOG is JNA's own if the control has the same warning and the
native method that it names is JNA's, or one that JNA serves (those of the generated class UniffiLib). Anything else is
ours, and an error.
"""

import collections
import pathlib
import re
import sys


def warnings(path):
    """Pairs of a warning and the native method on top of its stack."""
    found = []
    lines = pathlib.Path(path).read_text(errors="replace").splitlines()
    for number, line in enumerate(lines):
        match = re.search(r"(WARNING|FATAL ERROR) in native method: .*|WARNING: JNI local refs|Warning: .*JNI.*", line)
        if match:
            frame = next((below.strip() for below in lines[number + 1 : number + 4] if "\tat " in below), "")
            found.append((match.group(0), re.sub(r"^at |\(.*", "", frame)))
    return found


ours, control = warnings(sys.argv[1]), {kind for kind, _ in warnings(sys.argv[2])}
if not control:
    sys.exit("the control has no warnings: -Xcheck:jni was not on, or JNA has mended them and this script can go")
served = re.compile(r"com\.sun\.jna\.|jdk\.internal\.loader\.NativeLibraries\.load$|dev\.inkling\.ffi\.UniffiLib\.")
bad = collections.Counter(pair for pair in ours if pair[0] not in control or not served.match(pair[1]))
for (kind, method), count in bad.items():
    print(f"{count} x {kind} in {method or 'unknown'}", file=sys.stderr)
if bad:
    sys.exit("-Xcheck:jni complains of more than JNA alone")
print(f"-Xcheck:jni: {len(ours)} warnings, all of the {len(control)} kinds that JNA alone causes, none of ours")
