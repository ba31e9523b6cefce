#!/usr/bin/env python3
"""check-aar.py FOLDER: whether the AAR in FOLDER and the Maven repository beside it hold what Android's builds look for."""

import hashlib
import io
import pathlib
import sys
import xml.etree.ElementTree as xml
import zipfile

folder = pathlib.Path(sys.argv[1])
(aar_file,) = folder.glob("inkling-*.aar")
version = aar_file.stem.removeprefix("inkling-")
android = "{http://schemas.android.com/apk/res/android}"
maven = "{http://maven.apache.org/POM/4.0.0}"

aar = zipfile.ZipFile(aar_file)
manifest = xml.fromstring(aar.read("AndroidManifest.xml"))
assert manifest.get("package") == "dev.inkling"
assert manifest.find("uses-sdk").get(android + "minSdkVersion") == "26"
permissions = [node.get(android + "name") for node in manifest.iter("uses-permission")]
assert permissions == ["android.permission.INTERNET", "android.permission.ACCESS_NETWORK_STATE"], permissions
assert aar.read("R.txt") == b""
assert b"-keep" in aar.read("proguard.txt")

classes = set(zipfile.ZipFile(io.BytesIO(aar.read("classes.jar"))).namelist())
for name in "Inkling", "InklingModel", "InklingFutures", "NativeEntry", "ffi/FfiEngine":
    assert f"dev/inkling/{name}.class" in classes, name
strangers = {name for name in classes if not name.startswith(("dev/inkling/", "META-INF/"))}
assert not strangers, strangers
libraries = {name for name in aar.namelist() if name.startswith("jni/")}
both = {f"jni/{abi}/libinkling_ffi.so" for abi in ("arm64-v8a", "x86_64")}
# Where there are libraries, they must be in it.
assert libraries == (both if (folder / "jniLibs").is_dir() else set()), libraries

place = folder / "repository/dev/inkling/inkling" / version
pom = xml.parse(place / f"inkling-{version}.pom").getroot()
assert pom.findtext(maven + "packaging") == "aar" and pom.findtext(maven + "version") == version
needs = {node.findtext(maven + "artifactId"): node.findtext(maven + "type") for node in pom.iter(maven + "dependency")}
assert needs == {"kotlin-stdlib": None, "kotlinx-coroutines-core-jvm": None, "jna": "aar"}, needs
assert (place / aar_file.name).read_bytes() == aar_file.read_bytes()
# Dokka's outermost folder is named after the module.
for kind, inside in ("sources", "dev/inkling/Inkling.kt"), ("javadoc", "/dev.inkling/-inkling/init.html"):
    names = zipfile.ZipFile(place / f"inkling-{version}-{kind}.jar").namelist()
    assert any(name.endswith(inside) for name in names), [name for name in names if "nkling/init" in name]
for file in place.glob("*.sha256"):
    assert hashlib.sha256(file.with_suffix("").read_bytes()).hexdigest() == file.read_text(), file
print(f"{aar_file.name}: {'with' if libraries else 'without'} native code", file=sys.stderr)
