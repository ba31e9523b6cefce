#!/usr/bin/env python3
"""doc-code.py PAGE FOLDER: the Kotlin of a page becomes a source file that the tests compile and run.

Each block that begins with ```kotlin is the body of a function, in which MODEL is the path of the tiny model. A block
that declares functions or classes stands by itself. Imports move to the top. The page stays free of scaffolding, and a
block that stops compiling or running fails the build.
"""

import pathlib
import re
import sys

page, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
blocks = re.findall(r"^```kotlin\n(.*?)^```$", page.read_text(), re.M | re.S)
if not blocks:
    sys.exit(f"{page} has no Kotlin")

imports = {"import kotlinx.coroutines.*", "import kotlinx.coroutines.flow.*", "import org.junit.jupiter.api.Test"}
parts = []
for number, block in enumerate(blocks, 1):
    lines = block.splitlines()
    imports.update(line for line in lines if line.startswith("import "))
    code = "\n".join(line for line in lines if not line.startswith("import ")).strip()
    if re.match(r"(suspend fun|fun|class|object|private|data) ", code):
        parts.append(code)
    else:
        body = "\n".join("        " + line if line else "" for line in code.splitlines())
        parts.append(f"    @Test\n    fun `block {number}`(): Unit = runBlocking {{\n{body}\n        Unit\n    }}")

tests = [part for part in parts if part.startswith("    @Test")]
others = [part for part in parts if not part.startswith("    @Test")]
source = "\n".join(
    [
        "// Written by scripts/doc-code.py from " + str(page),
        "package docs",
        "",
        *sorted(imports),
        "",
        "private val MODEL = dev.inkling.Demo.file.copyTo(java.io.File.createTempFile(\"model\", \".gguf\"), true).path",
        "",
        *others,
        "",
        "class KotlinPageTest {",
        "\n\n".join(tests),
        "}",
        "",
    ]
)
folder.mkdir(parents=True, exist_ok=True)
target = folder / "KotlinPageTest.kt"
if not target.exists() or target.read_text() != source:
    target.write_text(source)
