#!/usr/bin/env python3
"""check-jni.py LOG CONTROL: judges what -Xcheck:jni printed.

CONTROL is the output of JNA without Inkling. What LOG has must be of the kinds that the control has, and no native
method of ours may be on a stack that was printed, but for those of the generated class UniffiLib, which JNA serves.
Stacks of several threads may be mixed in LOG, so frames are looked at wherever they stand.
"""

import collections
import pathlib
import re
import sys

WARNING = re.compile(r"(?:WARNING|FATAL ERROR) in native method: .*|WARNING: JNI local refs|Warning: .*JNI.*")
OURS = re.compile(r"at (dev\.inkling\.[\w.$]+)\(Native Method\)")
SERVED = "dev.inkling.ffi.UniffiLib."


def kinds(text):
    return collections.Counter(match.group(0) for match in WARNING.finditer(text))


log, control = (pathlib.Path(path).read_text(errors="replace") for path in sys.argv[1:3])
found, known = kinds(log), kinds(control)
if not found:
    sys.exit("no warnings at all: -Xcheck:jni was not on, or JNA has mended them and this script can go")
if not known:
    sys.exit("the control has no warnings: -Xcheck:jni was not on, or JNA has mended them and this script can go")
bad = [f"{count} x {kind}" for kind, count in found.items() if kind not in known]
methods = collections.Counter(OURS.findall(log))
bad += [f"{count} x in {method}" for method, count in methods.items() if not method.startswith(SERVED)]
if bad:
    print("\n".join(bad), file=sys.stderr)
    sys.exit("-Xcheck:jni complains of more than JNA alone")
print(f"-Xcheck:jni: {found.total()} warnings, all of the {len(known)} kinds that JNA alone causes, none in a method of ours")
