// The store's own server for tests (core/store/chaos): serves a folder, and does wrong what it is told to.

import Foundation

@testable import Inkling

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

final class ChaosServer: Sendable {
    let port: Int
    private let process: Process
    private let input = Pipe()

    /// A server of a folder with one file, `model.gguf`.
    convenience init(_ file: Data, _ arguments: String...) throws {
        let folder = try Scratch.folder()
        try file.write(to: folder.appending(path: "model.gguf"))
        try self.init(folder: folder, arguments)
    }

    /// A server of a folder.
    init(folder: URL, _ arguments: [String] = []) throws {
        guard let name = ProcessInfo.processInfo.environment["INKLING_CHAOS_SERVER"] else {
            throw Unexpected("INKLING_CHAOS_SERVER must name the server: scripts/test-swift.sh builds it")
        }
        let (process, output) = (Process(), Pipe())
        process.executableURL = name.hasPrefix("/") ? URL(filePath: name) : Demo.root.appending(path: name)
        process.arguments = [folder.path] + arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        self.process = process
        var line = Data()
        while line.last != 10 {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw Unexpected("the server told no port") }
            line += more
        }
        guard let port = Int(String(decoding: line, as: UTF8.self).trimmingCharacters(in: .newlines)) else {
            throw Unexpected("the server's port is \(line)")
        }
        self.port = port
    }

    deinit {
        // It ends with its input, too, but other processes may hold that open.
        stop()
    }

    /// From now on nobody answers. A request to end may be one that the process was started to ignore.
    func stop() {
        // The number of one that has ended may be another's by now.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    func url(_ path: String = "/model.gguf") -> String { "http://127.0.0.1:\(port)\(path)" }

    /// Where the file is, for a store.
    func source(_ file: Data) throws -> StoreSource {
        try .url(url(), sha256: Scratch.digest(file), size: file.count)
    }

    func rule(_ text: String) async throws { _ = try await ask("/-/rule?\(text)") }

    func clear() async throws { _ = try await ask("/-/clear") }

    /// Requests for the file and bytes sent of it.
    func count() async throws -> (requests: Int, bytes: Int) {
        for line in try await ask("/-/counts").split(separator: "\n") where line.hasSuffix(" /model.gguf") {
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            return (numbers[0], numbers[1])
        }
        return (0, 0)
    }

    private func ask(_ path: String) async throws -> String {
        guard let url = URL(string: url(path)) else { throw Unexpected("\(path) is no path") }
        let (data, response) = try await URLSession.shared.data(from: url)
        guard (response as? HTTPURLResponse)?.statusCode == 200 else { throw Unexpected("\(path): \(response)") }
        return String(decoding: data, as: UTF8.self)
    }
}

/// Files of one test run, which the system's temporary folder keeps as long as it likes.
enum Scratch {
    static func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "inkling-\(UUID())", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    /// The tiny model.
    static let demo: Data = {
        do { return try Data(contentsOf: Demo.file) } catch { fatalError("\(error)") }
    }()

    /// The same with another name inside, which nobody asks it for.
    static let other: Data = {
        var file = demo
        guard let name = file.range(of: Data("Inkling Demo".utf8)) else { fatalError("the demo has lost its name") }
        file.replaceSubrange(name, with: Data("Another Demo".utf8))
        return file
    }()

    private static let digests = Locked<[Data: String]>([:])

    /// SHA-256 in hexadecimal.
    static func digest(_ data: Data) throws -> String {
        if let known = digests.with({ $0[data] }) { return known }
        let (process, output, file) = (Process(), Pipe(), try folder().appending(path: "data"))
        try data.write(to: file)
        process.executableURL = URL(filePath: "/usr/bin/env")
        #if os(Linux)
        process.arguments = ["sha256sum", file.path]
        #else
        process.arguments = ["shasum", "-a", "256", file.path]
        #endif
        process.standardOutput = output
        try process.run()
        // Not to the end: other processes that are started now may hold that open.
        var text = Data()
        while text.count < 64 {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { break }
            text += more
        }
        let digest = String(decoding: text.prefix(64), as: UTF8.self)
        guard digest.count == 64 else { throw Unexpected("no digest of \(file.path)") }
        digests.with { $0[data] = digest }
        return digest
    }
}
