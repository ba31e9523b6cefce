// swift-tools-version: 6.0
// The Swift package. It stands at the top of the repository and not in ios/ because SwiftPM looks nowhere else in a
// repository that an app names by its URL, and because a target may not reach for files above its manifest: the
// generated code lies in target/. Everything that is written by hand is in ios/.
import Foundation
import PackageDescription

/// In a release: the archive with the XCFramework, its checksum (`swift package compute-checksum`), and the folder with
/// the generated code, which a release carries. In the repository all of it is built here: `make ios`, or on Linux
/// `scripts/test-swift.sh`.
let release: (url: String, checksum: String, generated: String)? = nil

// Set by scripts/test-swift.sh: a warning in code of ours is an error, and the code of the pages is there.
let testing = Context.environment["INKLING_TESTING"] != nil
let strict: [SwiftSetting] = testing ? [.unsafeFlags(["-warnings-as-errors"])] : []

let root = Context.packageDirectory
let generated = release?.generated ?? "target/bindings/swift"

if !FileManager.default.fileExists(atPath: "\(root)/\(generated)/InklingFFI.swift") {
    let advice = "Inkling: the generated code is missing: run scripts/bindings.sh swift (and on a Mac scripts/ios.sh) first\n"
    FileHandle.standardError.write(Data(advice.utf8))
}

// The engine, and the C declarations of its functions.
#if os(Linux)
// The static library as cargo builds it. INKLING_LIBRARY names another one in this folder.
let library = "\(root)/" + (Context.environment["INKLING_LIBRARY"] ?? "target/debug/libinkling_ffi.a")
let engine = Target.systemLibrary(name: "InklingFFIC", path: "ios/Sources/InklingFFIC")
// Swift's Observation names a symbol here that no library has, and never calls it: the linker must not mind.
let linking: [LinkerSetting] = [.unsafeFlags(["-Xlinker", library, "-Xlinker", "--allow-shlib-undefined"])]
#else
let engine =
    if let release {
        Target.binaryTarget(name: "InklingFFIC", url: release.url, checksum: release.checksum)
    } else {
        Target.binaryTarget(name: "InklingFFIC", path: "target/apple/InklingFFI.xcframework")
    }
let linking: [LinkerSetting] = []
#endif

var targets: [Target] = [
    engine,
    // Written by UniFFI, which does not promise more than Swift 5.
    .target(
        name: "InklingFFI",
        dependencies: ["InklingFFIC"],
        path: generated,
        exclude: ["InklingFFIC.h", "InklingFFIC.modulemap"],
        sources: ["InklingFFI.swift"],
        swiftSettings: [.swiftLanguageMode(.v5)],
        linkerSettings: linking
    ),
    .target(
        name: "Inkling",
        dependencies: ["InklingFFI"],
        path: "ios/Sources/Inkling",
        resources: [.copy("PrivacyInfo.xcprivacy")],
        swiftSettings: strict
    ),
    .testTarget(
        name: "InklingTests",
        dependencies: ["Inkling", "InklingFFI"],
        path: "ios/Tests/InklingTests",
        swiftSettings: strict
    ),
]

if testing {
    targets.append(
        .testTarget(
            name: "SwiftPageTests", dependencies: ["Inkling"], path: "target/docs/swift", swiftSettings: strict)
    )
}

// Set by scripts/swift/bench.sh.
if Context.environment["INKLING_BENCH"] != nil {
    targets.append(.executableTarget(name: "InklingBench", dependencies: ["Inkling", "InklingFFI"], path: "ios/Bench"))
}

let package = Package(
    name: "Inkling",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "Inkling", targets: ["Inkling"])],
    targets: targets,
    swiftLanguageModes: [.v6]
)
