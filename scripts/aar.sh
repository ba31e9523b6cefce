#!/usr/bin/env bash
# aar.sh [LIBRARIES]: makes target/android/inkling-VERSION.aar and a Maven repository with it, its sources, its documentation and its POM
# in target/android/repository.
# LIBRARIES holds arm64-v8a/libinkling_ffi.so and x86_64/libinkling_ffi.so (scripts/android.sh makes them in target/android/jniLibs, the
# default). Without them the AAR has no native code: enough for tests on this machine, of no use on a phone.
source "$(dirname "$0")/prepare.sh"
source scripts/need-java.sh

libraries="${1:-target/android/jniLibs}"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
for pom in android/sdk/pom.xml android/sdk/aar-pom.xml; do
    grep -q "<version>$version</version>" "$pom" || { echo "$pom is not of version $version" >&2; exit 1; }
done
out=target/android
mkdir -p "$out"

[ -n "${INKLING_BINDINGS_READY:-}" ] || scripts/bindings.sh kotlin

say "Android classes and their documentation"
log=$out/classes.log
# A warning of the documentation fails as well.
mvn --batch-mode -f android/sdk/pom.xml compile dokka:dokka >"$log" 2>&1 || { grep -vE '^\[INFO\]|^$' "$log" >&2; exit 1; }

stage=$out/aar
rm -rf "$stage"
mkdir -p "$stage/META-INF/com/android/build/gradle"
scripts/pack-zip.py "$stage/classes.jar" "$out/classes/classes"
cp android/sdk/AndroidManifest.xml "$stage/"
cp android/sdk/consumer-rules.pro "$stage/proguard.txt"
# No resources; the format wants their list all the same.
: >"$stage/R.txt"
printf 'aarFormatVersion=1.0\naarMetadataVersion=1.0\nminCompileSdk=26\n' \
    >"$stage/META-INF/com/android/build/gradle/aar-metadata.properties"
native="without native code"
if [ -d "$libraries" ]; then
    for abi in arm64-v8a x86_64; do
        [ -f "$libraries/$abi/libinkling_ffi.so" ] || { echo "no $libraries/$abi/libinkling_ffi.so" >&2; exit 1; }
        mkdir -p "$stage/jni/$abi"
        cp "$libraries/$abi/libinkling_ffi.so" "$stage/jni/$abi/"
    done
    native="with libraries for arm64-v8a and x86_64"
else
    echo "NOTE: there is no $libraries (scripts/android.sh makes it): this AAR has no native code and runs on no phone" >&2
fi
name="inkling-$version"
rm -f "$out/$name.aar"
scripts/pack-zip.py "$out/$name.aar" "$stage"

# A repository is a folder for each version, and digests beside the files.
place="$out/repository/dev/inkling/inkling/$version"
rm -rf "$place"
mkdir -p "$place"
cp "$out/$name.aar" "$place/"
cp android/sdk/aar-pom.xml "$place/$name.pom"
scripts/pack-zip.py "$place/$name-sources.jar" android/jvm/src/main/kotlin android/sdk/src/main/kotlin target/bindings/kotlin
scripts/pack-zip.py "$place/$name-javadoc.jar" "$out/dokka"
python3 - "$place"/* <<'END'
import hashlib, pathlib, sys
for file in map(pathlib.Path, sys.argv[1:]):
    for kind in "sha1", "sha256":
        file.with_name(f"{file.name}.{kind}").write_text(hashlib.new(kind, file.read_bytes()).hexdigest())
END
echo "$out/$name.aar: $(wc -c <"$out/$name.aar" | tr -d ' ') bytes, $native" >&2
