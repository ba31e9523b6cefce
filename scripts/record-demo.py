#!/usr/bin/env python3
"""Records a conversation with the built command line and draws it as docs/demo.svg.

Types real keys into a real terminal (a pty), keeps what comes back with its timing, and lets termtosvg draw it:

    pip install termtosvg
    cargo build --release -p inkling-cli && python3 scripts/record-demo.py
"""
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import time

COLUMNS, ROWS = 96, 26
TYPING = 0.045  # seconds a key
MESSAGES = [
    "Hello! Who are you?",
    "Write two sentences about the sea.",
    "And now two about a mountain.",
]
COMMAND = ["target/release/inkling", "--temp", "0", "--max-tokens", "90"]


def read(terminal, events, start, until, quiet=0.6):
    """Reads until `until` is seen and the terminal has been quiet; gives all that came."""
    seen, last = b"", time.time()
    while time.time() - last < (quiet if until in seen else 60):
        if select.select([terminal], [], [], 0.02)[0]:
            data = os.read(terminal, 65536)
            seen, last = seen + data, time.time()
            events.append([time.time() - start, "o", data.decode("utf-8", "replace")])


def main():
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.execv(COMMAND[0], COMMAND)
    subprocess.run(["stty", "cols", str(COLUMNS), "rows", str(ROWS)], stdin=terminal, check=False)
    start, events = time.time(), []
    events.append([0.0, "o", "$ inkling\r\n"])
    read(terminal, events, start, b"> ")
    for message in MESSAGES:
        for key in message:
            os.write(terminal, key.encode())
            time.sleep(TYPING)
            read(terminal, events, start, b"", quiet=0.0)
        os.write(terminal, b"\r")
        read(terminal, events, start, b"tok/s")
        time.sleep(0.8)
    os.write(terminal, b"\x04")
    with tempfile.NamedTemporaryFile("w", suffix=".cast", delete=False) as cast:
        cast.write(json.dumps({"version": 2, "width": COLUMNS, "height": ROWS}) + "\n")
        cast.writelines(json.dumps(event) + "\n" for event in events)
    subprocess.run(
        ["termtosvg", "render", cast.name, "docs/demo.svg", "-t", "window_frame", "-D", "3000"], check=True
    )
    os.unlink(cast.name)
    print("".join(event[2] for event in events), file=sys.stderr)


if __name__ == "__main__":
    main()
