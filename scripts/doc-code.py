#!/usr/bin/env python3
"""doc-code.py PAGE FOLDER [kotlin|android|swift]: a page's code becomes a source file that the tests compile and run.

Each block that begins with ```kotlin or ```swift is the body of a test, in which a model is at hand: its path is MODEL in
Kotlin, its address is `url` in Swift. A block that declares functions or classes stands by itself. Imports move to the
top. Blocks that begin with ```kotlin android are taken when that is asked for, and only then: there, `context` is the
application. The page stays free of scaffolding, and a block that stops compiling or running fails the build.
"""

import pathlib
import re
import sys

# What a language's file looks like. `first` stands before the page's own declarations, `test` is one block.
KOTLIN = {
    "fence": "kotlin",
    "file": "{page}PageTest.kt",
    "declaration": r"(suspend fun|fun|class|object|private|data) ",
    "imports": ["import kotlinx.coroutines.*", "import kotlinx.coroutines.flow.*", "import org.junit.jupiter.api.Test"],
    "package": ["package docs", ""],
    "first": [
        "private val MODEL = dev.inkling.Demo.copy()",
        "",
    ],
    "class": ["class {name} {{"],
    "test": "    @Test\n    fun `block {number}`(): Unit = runBlocking {{\n{body}\n        Unit\n    }}",
}
ANDROID = KOTLIN | {
    "fence": "kotlin android",
    "file": "AndroidPageTest.kt",
    "imports": [
        "import kotlinx.coroutines.*",
        "import kotlinx.coroutines.flow.*",
        "import org.junit.Test",
        "import org.junit.runner.RunWith",
        "import org.robolectric.RobolectricTestRunner",
        "import org.robolectric.annotation.Config",
    ],
    "first": [
        "private val MODEL = dev.inkling.Host.copy()",
        "",
        "private val context get() = dev.inkling.Host.context",
        "",
    ],
    "class": ["@RunWith(RobolectricTestRunner::class)", "@Config(sdk = [34], manifest = Config.NONE)", "class {name} {{"],
}
SWIFT = {
    "fence": "swift",
    "file": "{page}PageTests.swift",
    "declaration": r"(@Observable|@MainActor|struct|final class|class|actor|enum|func|extension|private) ",
    "imports": ["import Foundation", "import Inkling", "import Testing"],
    "package": [],
    "first": [],
    # Every block has a file of its own, because packed weights are written beside it. Tests run in the project's folder.
    "class": [
        "@Suite struct {name} {{",
        "    let url = FileManager.default.temporaryDirectory.appending(path: \"\\(UUID()).gguf\")",
        "",
        "    init() throws {{",
        "        let here = URL(filePath: FileManager.default.currentDirectoryPath)",
        "        try FileManager.default.copyItem(at: here.appending(path: \"core/cli/assets/inkling-demo.gguf\"), to: url)",
        "    }}",
        "",
    ],
    "test": "    @Test func block{number}() async throws {{\n{body}\n    }}",
}

page, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
language = {"kotlin": KOTLIN, "android": ANDROID, "swift": SWIFT}[sys.argv[3] if len(sys.argv) > 3 else "kotlin"]
blocks = re.findall(rf"^```{language['fence']}\n(.*?)^```$", page.read_text(), re.M | re.S)
if not blocks:
    sys.exit(f"{page} has no block of {language['fence']}")

imports, tests, others = set(language["imports"]), [], []
for number, block in enumerate(blocks, 1):
    lines = block.splitlines()
    imports.update(line for line in lines if line.startswith("import "))
    code = "\n".join(line for line in lines if not line.startswith("import ")).strip()
    if re.match(language["declaration"], code):
        others += [code, ""]
    else:
        body = "\n".join("        " + line if line else "" for line in code.splitlines())
        tests.append(language["test"].format(number=number, body=body))

target = folder / language["file"].format(page=page.stem.capitalize())
source = "\n".join(
    [
        f"// Written by scripts/doc-code.py from {page}",
        *language["package"],
        *sorted(imports),
        "",
        *language["first"],
        *others,
        *(line.format(name=target.stem) for line in language["class"]),
        "\n\n".join(tests),
        "}",
        "",
    ]
)
folder.mkdir(parents=True, exist_ok=True)
if not target.exists() or target.read_text() != source:
    target.write_text(source)
