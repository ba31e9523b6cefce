#!/usr/bin/env bash
# The API's documentation, from what `swift test` built: every warning of DocC and every public name without a word about it
# is an error. The pages are in target/swift/api. Called by scripts/test-swift.sh where Swift is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# tool NAME: Xcode's, the one beside swift, or Debian's, which is not on the path.
tool() {
    if [ "$(uname)" = Darwin ]; then xcrun --find "$1"; else
        command -v "$1" || ls "$(dirname "$(readlink -f "$(command -v swift)")")/$1" /usr/libexec/swift/bin/"$1" 2>/dev/null | head -1
    fi
}

symbols=target/swift/symbols log=target/swift/docc.log
rm -rf "$symbols"
mkdir -p "$symbols"
target=$(swift -print-target-info | grep -oE '"triple": "[^"]+"' | head -1 | cut -d'"' -f4)
sdk=()
[ "$(uname)" != Darwin ] || sdk=(-sdk "$(xcrun --show-sdk-path)")
"$(tool swift-symbolgraph-extract)" -module-name Inkling -target "$target" "${sdk[@]}" -I target/swift/build/debug/Modules \
    -I ios/Sources/InklingFFIC -minimum-access-level public -skip-synthesized-members -output-dir "$symbols"
if ! "$(tool docc)" convert ios/Sources/Inkling/Inkling.docc --fallback-display-name Inkling \
    --fallback-bundle-identifier dev.inkling.Inkling --fallback-bundle-version 1 --warnings-as-errors \
    --additional-symbol-graph-dir "$symbols" --output-dir target/swift/api >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
# The graph is one line of JSON; Swift itself reads it.
swift scripts/swift/undocumented.swift "$symbols/Inkling.symbols.json"
echo "target/swift/api/documentation/inkling"
