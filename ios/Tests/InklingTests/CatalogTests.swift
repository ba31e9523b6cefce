// Signed catalogues, as the command line publishes them: releases, undoing them, encrypted models.

import Foundation
import Testing

@testable import Inkling

/// A publisher with the command line, and a server of what is published.
private final class Publisher: Sendable {
    let folder: URL
    let server: ChaosServer
    var served: URL { folder.appending(path: "served", directoryHint: .isDirectory) }
    var url: String { server.url("/catalog.json") }
    var source: StoreSource { .catalog(url, model: "tiny") }

    /// With a root of his own.
    init() async throws {
        folder = try Scratch.folder()
        let served = folder.appending(path: "served", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: served, withIntermediateDirectories: true)
        server = try ChaosServer(folder: served)
        try await models("keygen", path("signer"))
        try await models("init", served.path, "--release", path("signer.pub"), "--key", path("signer"))
    }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    func file(_ name: String, _ bytes: Data) throws -> String {
        try bytes.write(to: folder.appending(path: name))
        return path(name)
    }

    /// The root document, as an app would come with it.
    var root: TrustedCatalog {
        get throws { TrustedCatalog(url: url, root: try Data(contentsOf: served.appending(path: "root.json"))) }
    }

    func release(_ number: Int, _ model: Data, _ more: String...) async throws {
        let weights = try file("\(number).gguf", model)
        let all = ["publish", served.path, weights, "--key", path("signer"), "--model", "tiny", "--number", "\(number)"]
        try await models(all + more)
    }

    func models(_ arguments: String...) async throws { try await models(arguments) }

    private func models(_ arguments: [String]) async throws {
        guard let name = ProcessInfo.processInfo.environment["INKLING_CLI"] else {
            throw Unexpected("INKLING_CLI must name the command line: scripts/test-swift.sh builds it")
        }
        // Not a pipe: other processes that are started now may hold that open.
        let log = folder.appending(path: "log-\(UUID())")
        try Data().write(to: log)
        let (process, output) = (Process(), try FileHandle(forWritingTo: log))
        process.executableURL = name.hasPrefix("/") ? URL(filePath: name) : Demo.root.appending(path: name)
        process.arguments = ["models"] + arguments
        process.standardOutput = output
        process.standardError = output
        let code = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        guard code == 0 else { throw Unexpected("\(arguments): \(try String(contentsOf: log, encoding: .utf8))") }
    }
}

@Suite struct CatalogTests {
    let folder: URL

    init() throws {
        folder = try Scratch.folder().appending(path: "store", directoryHint: .isDirectory)
    }

    /// A store that takes what this publisher signs, and nothing else.
    private func store(_ publisher: Publisher, _ keys: (any KeyProvider)? = nil) async throws -> InklingStore {
        let options = StoreOptions(
            folder: folder, keepFree: 0, catalogs: [try publisher.root], onlySigned: true, keys: keys)
        return try await patiently { try InklingStore(options) }
    }

    private func answer(_ model: InklingModel) async throws -> String {
        try await InklingSession(model: model).respond(to: Demo.prompt, options: .greedy).text
    }

    /// Loads what is chosen now, and closes it.
    private func origin(_ store: InklingStore) async throws -> ModelOrigin {
        let model = try await InklingModel.load(from: store, id: "tiny")
        let origin = try #require(model.origin)
        #expect(try await answer(model) == Demo.answer)
        await model.close()
        return origin
    }

    /// Five good answers make a release the one to fall back to.
    private func prove(_ store: InklingStore) async throws {
        let model = try await InklingModel.load(from: store, id: "tiny")
        for _ in 0..<5 { #expect(try await answer(model) == Demo.answer) }
        await model.close()
    }

    @Test func aReleaseIsInstalledUpdatedAndUndone() async throws {
        let publisher = try await Publisher()
        try await publisher.release(1, Scratch.demo)
        let (store, source) = (try await store(publisher), publisher.source)
        // What nobody signed is refused, also from the publisher's own server.
        let loose = try StoreSource.url(
            publisher.server.url("/files/\(Scratch.digest(Scratch.demo))"), sha256: Scratch.digest(Scratch.demo),
            size: Scratch.demo.count)
        for unsigned in [loose, .file(Demo.file), .hub("o/r", "f.gguf")] {
            let error = try await failure { _ = try store.ensure(unsigned) }
            guard case .invalidInput("source", _, _) = error else { throw Unexpected("\(error)") }
        }
        try await store.ensure(source).wait()
        #expect(try await origin(store).isOnTrial)
        try await prove(store)

        try await publisher.release(2, Scratch.other, "--golden", "The quick brown")
        try await store.ensure(source).wait()
        #expect(try await store.list().map(\.release) == [1])
        try await store.ensure(source, options: EnsureOptions(update: true)).wait()
        let two = try #require(try await store.list().first)
        #expect(two.release == 2 && two.isOnTrial && two.previous == 1)
        #expect(try await origin(store).release == 2)
        #expect(try await store.rollback("tiny") == 1)
        #expect(try await origin(store).release == 1)
        // What was undone does not come back by itself.
        try await store.ensure(source, options: EnsureOptions(update: true)).wait()
        #expect(try await store.list().map(\.release) == [1])
        try await store.ensure(source, options: EnsureOptions(insist: true, update: true)).wait()
        #expect(try await store.list().map(\.release) == [2])
    }

    @Test func whatSaysOtherWordsThanItsPublisherIsGivenUp() async throws {
        let publisher = try await Publisher()
        try await publisher.release(1, Scratch.demo)
        let (store, source) = (try await store(publisher), publisher.source)
        try await store.ensure(source).wait()
        try await prove(store)
        let wrong = Data(#"[{"prompt": "The quick brown", "tokens": [7, 8, 9]}]"#.utf8)
        try await publisher.release(2, Scratch.other, "--golden-file", publisher.file("golden.json", wrong))
        try await store.ensure(source, options: EnsureOptions(update: true)).wait()
        #expect(try await store.list().map(\.release) == [2])
        let told = try await origin(store)
        #expect(told.release == 1 && told.givenUp.map(\.id) == ["tiny"] && told.givenUp.map(\.release) == [2])
        #expect(told.givenUp.first?.why.contains("golden prompt 0") == true, "\(told)")
        // It is told once, and the release is not taken again by itself.
        #expect(try await origin(store).givenUp.isEmpty)
        try await store.ensure(source, options: EnsureOptions(update: true)).wait()
        #expect(try await store.list().map(\.release) == [1])
    }

    @Test func anEncryptedModelNeedsItsKey() async throws {
        struct Safe: KeyProvider {
            var bytes = Data()
            let asked = Locked<[String]>([])

            func key(_ name: String) throws -> Data {
                asked.with { $0.append(name) }
                guard !bytes.isEmpty else { throw InklingError.invalid("safe", "it is locked") }
                return bytes
            }
        }
        let publisher = try await Publisher()
        let key = Data((0..<32).map { UInt8($0 * 3) })
        try await publisher.release(1, Scratch.demo, "--seal", "secret=\(publisher.file("key", key))")

        let without = try await store(publisher)
        try await without.ensure(publisher.source).wait()
        let missing = try await failure { _ = try await InklingModel.load(from: without, id: "tiny") }
        guard case .invalidInput("keys", _, _) = missing else { throw Unexpected("\(missing)") }
        await without.close()

        let safe = Safe(bytes: key)
        let with = try await store(publisher, safe)
        #expect(try await origin(with).givenUp.isEmpty)
        #expect(Set(safe.asked.with { $0 }) == ["secret"])
        // Nothing of it lies on the disk in the clear, neither its bytes nor what is prepared from them.
        #expect(try await with.usage().prepared == 0)
        let objects = try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: "v1/objects"), includingPropertiesForKeys: nil)
        #expect(!objects.isEmpty)
        for object in objects {
            let bytes = try Data(contentsOf: object)
            #expect(bytes.range(of: Data("Inkling Demo".utf8)) == nil && !bytes.starts(with: Data("GGUF".utf8)), "\(object)")
        }
        await with.close()

        for (bytes, word) in [(Data(key.prefix(31)), "31 bytes"), (Data(), "locked"), (Data(count: 32), "")] {
            let store = try await store(publisher, Safe(bytes: bytes))
            let error = try await failure { _ = try await InklingModel.load(from: store, id: "tiny") }
            #expect(word.isEmpty || "\(error)".contains(word), "\(error)")
            await store.close()
        }
        // That was not the model's fault.
        #expect(try await origin(store(publisher, safe)).release == 1)
    }

    @Test func anotherPublishersRootIsNotBelieved() async throws {
        let (publisher, thief) = (try await Publisher(), try await Publisher())
        try await publisher.release(1, Scratch.demo)
        let root = TrustedCatalog(url: publisher.url, root: try thief.root.root)
        let store = try InklingStore(StoreOptions(folder: folder, keepFree: 0, catalogs: [root]))
        let error = try await failure { try await store.ensure(publisher.source).wait() }
        guard case .network(retryable: false, let why) = error, why.contains("cannot be accepted") else {
            throw Unexpected("\(error)")
        }
        #expect(try await store.list().isEmpty)
        #expect(try await failure { _ = try InklingStore(StoreOptions(folder: folder)) }.kind == "Busy")
    }

    /// The app is ended, and only woken for what the system has fetched: it asks for nothing, and nobody would answer, neither
    /// for the first release nor for an update.
    @Test(arguments: [false, true]) func theLastPartInstallsTheModel(_ update: Bool) async throws {
        let (publisher, system) = (try await Publisher(), System())
        try await publisher.release(1, Scratch.demo)
        func downloads(_ store: InklingStore) -> InklingBackgroundDownloads {
            InklingBackgroundDownloads(store: store, identifier: "test", session: system, partBytes: 1 << 20)
        }
        let before = try await store(publisher)
        if update {
            try await before.ensure(publisher.source).wait()
            try await publisher.release(2, Scratch.other)
        }
        // Whatever has come by then, the last part has not.
        try await publisher.server.rule("drip=1000000")
        try await { [downloads = downloads(before)] in
            _ = try await downloads.ensure(publisher.source, options: EnsureOptions(update: update))
        }()
        await before.close()
        while await !system.running().isEmpty { try await Task.sleep(for: .milliseconds(20)) }
        publisher.server.stop()
        let after = try await store(publisher)
        #expect(try await after.list().map(\.release) == (update ? [1] : []))
        let woken = downloads(after)
        await woken.handleEvents()
        #expect(try await after.list().map(\.release) == [update ? 2 : 1] && woken.ids.isEmpty)
        #expect(try await origin(after).givenUp.isEmpty)
    }

    /// In the background, a release comes without anybody who is asked at its end.
    @Test func anUpdateIsFetchedInTheBackground() async throws {
        let publisher = try await Publisher()
        try await publisher.release(1, Scratch.demo)
        let store = try await store(publisher)
        try await store.ensure(publisher.source).wait()
        try await prove(store)
        try await publisher.release(2, Scratch.other)
        let session = SystemPartSession(identifier: "linux", discretionary: false)
        let downloads = InklingBackgroundDownloads(store: store, session: session, partBytes: 1 << 20)
        let events = downloads.events()
        try await downloads.ensure(publisher.source, options: EnsureOptions(update: true))
        for await event in events {
            if case .failed(_, let error) = event { throw error }
            if case .installing = event { Issue.record("the last part did not install it") }
            if case .ready(let id) = event {
                #expect(id == "tiny")
                break
            }
        }
        let told = try await origin(store)
        #expect(told.release == 2 && told.isOnTrial && told.givenUp.isEmpty)
    }
}
