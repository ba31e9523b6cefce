#!/usr/bin/env python3
"""pack-zip.py OUT FOLDER...: packs what the folders hold; the same files always give the same bytes."""

import pathlib
import sys
import zipfile

out, folders = sys.argv[1], [pathlib.Path(folder) for folder in sys.argv[2:]]
files = {}
for folder in folders:
    for file in folder.rglob("*"):
        if file.is_file():
            files.setdefault(file.relative_to(folder).as_posix(), file)
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
    for name in sorted(files):
        # One date for all, and no owner's rights.
        archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), files[name].read_bytes(), zipfile.ZIP_DEFLATED)
