#!/usr/bin/env bash
# A small app takes the AAR from the local Maven repository, as an app's build does, and is shrunk with R8 and no rules but those
# that the AAR and its dependencies bring. What is left runs on this JVM and must print android/consumer/expected.txt; without
# the AAR's rules it must fail. Then all is made for a phone (dex, Android 8), shrunk and not.
# Called by test-android.sh, behind aar.sh.
source "$(dirname "$0")/prepare.sh"

out=target/android/consumer
log=$out.log
rm -rf "$out/app" "$out/unpacked" "$out/main" "$out/host"
mvn --batch-mode -f android/consumer/pom.xml dependency:purge-local-repository initialize >"$log" 2>&1 ||
    { cat "$log" >&2; exit 1; }
# What Maven gave is what was built.
cmp target/android/inkling-*.aar "$out/app/inkling.aar"

# As the Android Gradle plugin does it: the classes of each AAR, the rules of each AAR and each JAR.
classes=()
rules=()
for file in "$out"/app/*; do
    place="$out/unpacked/$(basename "${file%.*}")"
    mkdir -p "$place"
    python3 -m zipfile -e "$file" "$place"
    case "$file" in
        *.aar) classes+=("$place/classes.jar") found=("$place/proguard.txt") ;;
        *) classes+=("$file") found=("$place"/META-INF/com.android.tools/r8*/*) ;;
    esac
    for rule in "${found[@]}"; do
        if [ -f "$rule" ]; then rules+=(--pg-conf "$rule"); fi
    done
done
path=$(IFS=: && echo "${classes[*]}")
android="$out/tools/android-all.jar"

# Java's classes as far as a phone has them: no java.awt, which JNA knows.
java_home=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.home = //p')
if [ ! -f "$out/java.jar" ]; then
    rm -rf "$out/java"
    jimage extract --dir "$out/java" --include 'regex:/java[.](base|logging)/.*' "$java_home/lib/modules"
    rm -f "$out"/java/*/module-info.class
    scripts/pack-zip.py "$out/java.jar" "$out/java/java.base" "$out/java/java.logging"
    rm -rf "$out/java"
fi

javac -nowarn --release 17 -d "$out/main" -cp "$path:$android" android/consumer/src/app/*.java
javac -nowarn --release 17 -d "$out/host" android/consumer/src/android/os/*.java
scripts/pack-zip.py "$out/main.jar" "$out/main"
# The only rule of the app's own is the one that its manifest would give.
echo '-keep class app.Main { public static void main(java.lang.String[]); }' >"$out/entry.pro"
printf '%s\n' '-dontwarn java.awt.**' -dontoptimize >"$out/bare.pro"

# tool NAME ARGUMENT...: runs R8 or D8; a warning is an error.
tool() {
    # Quick to start rather than quick in the end.
    java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$out/tools/r8.jar" "com.android.tools.r8.$1" --release \
        --lib "$out/java.jar" --lib "$android" "${@:2}" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
    if grep -i warning "$log" | grep -v "Resource '.*' already exists" >&2; then return 1; fi
}

# run JAR: what the app prints. JNA's native half for this machine comes from JNA's jar for desktops.
python3 -m zipfile -e "$out/tools/jna.jar" "$out/unpacked/host"
library=$(cd target/debug && pwd)
run() {
    local library=${2-$library}
    rm -rf "$out/folder"
    mkdir -p "$out/folder"
    java -Djava.library.path="$library" -Djna.library.path="$library" -Djna.boot.library.path="$dispatch" -Xmx512m \
        -cp "$1:$out/host:$android" app.Main core/cli/assets/inkling-demo.gguf "$out/folder"
}
dispatch=""
for file in "$out"/unpacked/host/com/sun/jna/"$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m | tr _ -)"/libjnidispatch.*; do
    dispatch=$(dirname "$file")
done

say "an app with the AAR, shrunk by R8 with the AAR's rules"
tool R8 --classfile --output "$out/shrunk.jar" --pg-conf "$out/entry.pro" "${rules[@]}" "${classes[@]}" "$out/main.jar"
run "$out/shrunk.jar" >"$out/printed.txt"
diff android/consumer/expected.txt "$out/printed.txt"
# On a device that there is no library for.
if run "$out/shrunk.jar" "$out/none" >"$out/none.txt" 2>&1; then exit 1; fi
grep -q 'the app has no library of Inkling for none: there is one for arm64-v8a and for x86_64' "$out/none.txt"

say "the same without the AAR's rules, which must fail"
others=("${rules[@]}")
for index in "${!others[@]}"; do
    if [ "${others[$index]}" = "$out/unpacked/inkling/proguard.txt" ]; then unset "others[$index]" "others[$((index - 1))]"; fi
done
[ ${#others[@]} -lt ${#rules[@]} ]
tool R8 --classfile --output "$out/bare.jar" --pg-conf "$out/entry.pro" --pg-conf "$out/bare.pro" "${others[@]}" \
    "${classes[@]}" "$out/main.jar"
if run "$out/bare.jar" >"$out/bare.txt" 2>&1; then
    echo "the app runs without the AAR's rules: they, or this test, are good for nothing" >&2
    exit 1
fi
grep -m1 -E 'Exception|Error' "$out/bare.txt" >&2

say "for phones: dex of the shrunk app, and of an unshrunk one"
tool D8 --min-api 26 --output "$out/shrunk.zip" "$out/shrunk.jar"
tool D8 --min-api 26 --output "$out/whole.zip" "${classes[@]}" "$out/main.jar"
for file in shrunk whole; do
    python3 -m zipfile -l "$out/$file.zip" | grep -q classes.dex
    echo "$file: $(wc -c <"$out/$file.zip" | tr -d ' ') bytes of zipped dex" >&2
done
