#!/usr/bin/env python3
"""code-size.py WHAT BYTES: holds a size against the one that scripts/code_size.json records, and against the aim.

A growth over 5 % fails until it is accepted: with --accept (or INKLING_ACCEPT_SIZE=1, for scripts that call this one)
the new size is recorded. So is a change in the file that every reviewer sees.
"""

import json
import os
import pathlib
import sys

LEDGER = pathlib.Path(__file__).parent / "code_size.json"
TOLERANCE = 1.05


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--accept"]
    accept = len(words) < len(sys.argv) - 1 or os.environ.get("INKLING_ACCEPT_SIZE") == "1"
    if len(words) != 2 or not words[1].isdigit():
        sys.exit(__doc__)
    what, size = words[0], int(words[1])
    ledger = json.loads(LEDGER.read_text())
    if what not in ledger:
        sys.exit(f"{LEDGER} has no {what}, only {', '.join(ledger)}")
    entry = ledger[what]
    change = f"{what}: {size} bytes, recorded {entry['bytes']} ({size / entry['bytes'] - 1:+.1%}), aim {entry['aim']}"
    if size > entry["aim"]:
        print(f"{change}: too large; find out what grew before the aim is changed", file=sys.stderr)
        return 1
    if accept:
        entry["bytes"] = size
        LEDGER.write_text(json.dumps(ledger, indent=2) + "\n")
        print(f"{change}: accepted")
        return 0
    if size > entry["bytes"] * TOLERANCE:
        print(f"{change}: accept with scripts/code-size.py --accept '{what}' {size}", file=sys.stderr)
        return 1
    print(change)
    if size * TOLERANCE < entry["bytes"]:
        print(f"{what} has become smaller: --accept records it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
