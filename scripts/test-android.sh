#!/usr/bin/env bash
# The Android library: its classes on Robolectric with the host's library, the code of docs/kotlin.md for Android, the AAR, and a
# small app that is shrunk with it. Without a JDK and Maven, or without what lives in Google's Maven repository, it says what is
# skipped and ends well.
source "$(dirname "$0")/prepare.sh"
source scripts/need-java.sh

scripts/bindings.sh kotlin
export INKLING_BINDINGS_READY=1
scripts/aar.sh
say "what the AAR and its repository hold"
python3 scripts/check-aar.py target/android

# resolves ARTIFACT...: whether Maven can get them all.
resolves() {
    for artifact in "$@"; do
        mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dtransitive=false -Dartifact="$artifact" \
            >/dev/null 2>&1 || { missing=$artifact && return 1; }
    done
}
google() {
    echo "SKIPPED: $1 needs $missing, which Maven does not find here. It lives in Google's Maven repository and in mirrors" \
        "that include it: add that to Maven's settings.xml (a <mirror> or a <repository> in an active profile) and run this again" >&2
}

if resolves androidx.test:monitor:1.8.0:aar; then
    say "Android classes on Robolectric"
    scripts/doc-code.py docs/kotlin.md target/docs/android android
    log=target/android/robolectric.log
    rm -rf target/android/classes/surefire-reports
    mvn --batch-mode -f android/sdk/pom.xml -Probolectric test >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    tests=$(cat target/android/classes/surefire-reports/TEST-*.xml | grep -o '<testcase ' | wc -l)
    [ "$tests" -ge 25 ] || { echo "only $tests tests ran" >&2; exit 1; }
    echo "$tests tests passed" >&2
else
    google "the test of the Android classes"
fi
if resolves com.android.tools:r8:9.5.28; then
    scripts/test-consumer.sh
else
    google "the test of a shrunk app"
fi
