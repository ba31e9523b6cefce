#!/usr/bin/env bash
# The Kotlin API on a JVM: generates the code under it, compiles, runs JUnit on the host's library, some of it again with -Xcheck:jni,
# and compiles and runs the code of docs/kotlin.md and README.md. Without a JDK and Maven that can be installed, it says so and ends well.
source "$(dirname "$0")/prepare.sh"
source scripts/need-java.sh

scripts/bindings.sh kotlin
# The tests of the store fetch from a server that does wrong what it is told to, what the command line has published.
cargo build --quiet -p inkling-store-chaos --bin chaos-server -p inkling-cli --bin inkling
export INKLING_CHAOS_SERVER="$PWD/target/debug/chaos-server" INKLING_CLI="$PWD/target/debug/inkling"
for page in docs/kotlin.md README.md; do
    python3 scripts/doc-code.py "$page" target/docs/kotlin
done

say "Kotlin and Java on the JVM"
log=target/kotlin.log
mkdir -p target
rm -rf target/kotlin/surefire-reports
if ! mvn --quiet --batch-mode -f android/jvm/pom.xml test >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
tests=$(cat target/kotlin/surefire-reports/TEST-*.xml | grep -o '<testcase ' | wc -l)
[ "$tests" -ge 80 ] || { echo "only $tests tests ran" >&2; exit 1; }
echo "$tests tests passed"

say "again with -Xcheck:jni"
if ! mvn --batch-mode -f android/jvm/pom.xml surefire:test -Dtest='StreamingTest,ErrorsTest,BadInputTest,JavaApiTest,NativeEntryTest' \
    -Djvm.check=-Xcheck:jni >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
# What the virtual machine finds wrong in native code is only printed, and JNA's own code is not clean: it is told apart.
# Quiet as it is told to be, Maven still prints colours.
repository=$(mvn --quiet --batch-mode help:evaluate -Dexpression=settings.localRepository -DforceStdout 2>/dev/null |
    tr -d '\033' | sed 's/\[0m//g')
jna="$repository/net/java/dev/jna/jna/5.18.1/jna-5.18.1.jar"
java -Xcheck:jni -cp "$jna" scripts/kotlin/JnaAlone.java >target/jna-alone.log 2>&1 || { cat target/jna-alone.log; exit 1; }
python3 scripts/kotlin/check-jni.py "$log" target/jna-alone.log
