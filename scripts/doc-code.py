#!/usr/bin/env python3
"""doc-code.py PAGE FOLDER [android]: the Kotlin of a page becomes a source file that the tests compile and run.

Each block that begins with ```kotlin is the body of a function, in which MODEL is the path of the tiny model. A block
that declares functions or classes stands by itself. Imports move to the top. Blocks that begin with ```kotlin android
are taken when that is asked for, and only then: there, `context` is the application. The page stays free of scaffolding, and a
block that stops compiling or running fails the build.
"""

import pathlib
import re
import sys

page, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
android = sys.argv[3:] == ["android"]
language = "kotlin android" if android else "kotlin"
blocks = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)
if not blocks:
    sys.exit(f"{page} has no Kotlin")

imports = {"import kotlinx.coroutines.*", "import kotlinx.coroutines.flow.*"}
if android:
    imports |= {"import org.junit.Test", "import org.junit.runner.RunWith"}
    imports |= {"import org.robolectric.RobolectricTestRunner", "import org.robolectric.annotation.Config"}
    runner = ["@RunWith(RobolectricTestRunner::class)", "@Config(sdk = [34], manifest = Config.NONE)"]
    name, shared = "AndroidPageTest", "dev.inkling.Host"
    more = ["private val context get() = dev.inkling.Host.context", ""]
else:
    imports.add("import org.junit.jupiter.api.Test")
    runner, name, shared, more = [], "KotlinPageTest", "dev.inkling.Demo", []
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
        f"private val MODEL = {shared}.file.copyTo(java.io.File.createTempFile(\"model\", \".gguf\"), true).path",
        "",
        *more,
        *others,
        "",
        *runner,
        f"class {name} {{",
        "\n\n".join(tests),
        "}",
        "",
    ]
)
folder.mkdir(parents=True, exist_ok=True)
target = folder / f"{name}.kt"
if not target.exists() or target.read_text() != source:
    target.write_text(source)
