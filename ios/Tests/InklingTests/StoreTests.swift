// Models by id: over bad networks, in bad moments, with bad input. URLSession is the transport throughout.

import Foundation
import Testing

@testable import Inkling

/// The steps of a download, without repetitions.
func steps(_ events: [DownloadEvent]) -> [String] {
    let names = events.map { event in
        switch event {
        case .resolving: "resolving"
        case .waiting: "waiting"
        case .downloading: "downloading"
        case .verifying: "verifying"
        case .activating: "activating"
        case .ready: "ready"
        }
    }
    return names.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
}

func all(_ download: InklingDownload) async throws -> [DownloadEvent] {
    var events: [DownloadEvent] = []
    for try await event in download.events { events.append(event) }
    return events
}

/// Tries again for a while what is busy: what was let go of may be held a moment longer.
func patiently<Result>(_ work: () async throws -> Result) async throws -> Result {
    for _ in 0..<1000 {
        do {
            return try await work()
        } catch InklingError.busy {
            try await Task.sleep(for: .milliseconds(10))
        }
    }
    return try await work()
}

@Suite struct StoreTests {
    let folder: URL

    init() throws {
        folder = try Scratch.folder().appending(path: "store", directoryHint: .isDirectory)
    }

    func store(_ change: (inout StoreOptions) -> Void = { _ in }) throws -> InklingStore {
        var options = StoreOptions(folder: folder, keepFree: 0)
        change(&options)
        return try InklingStore(options)
    }

    @Test func aModelIsInstalledAndAnswers() async throws {
        let server = try ChaosServer(Scratch.demo)
        let store = try store()
        let source = try server.source(Scratch.demo)
        #expect(try await store.fit(source, context: 256).isYes)
        let download = try store.ensure(source, options: EnsureOptions(id: "tiny"))
        #expect(download.id == "tiny")
        let events = try await all(download)
        #expect(steps(events) == ["resolving", "downloading", "verifying", "activating", "ready"])
        #expect(events.last == .ready(id: "tiny"))
        var last = 0
        for case .downloading(let bytes, let total, _, _) in events {
            #expect(bytes >= last && bytes <= total && total == Scratch.demo.count)
            last = bytes
        }
        for _ in 0..<2 { #expect(try await download.wait() == "tiny") }
        // What is there asks nobody.
        let before = try await server.count().requests
        try await store.ensure(source, options: EnsureOptions(id: "tiny")).wait()
        #expect(try await server.count().requests == before)

        let installed = try #require(try await store.list().first)
        #expect(installed.id == "tiny" && installed.source == source && installed.bytes == Scratch.demo.count)
        #expect(installed.isComplete && !installed.isPinned && installed.release == 1 && installed.previous == nil)
        #expect(try await store.usage().models >= Scratch.demo.count)
        try await store.pin("tiny")
        #expect(try await store.list().first?.isPinned == true)

        do {
            let told = Locked<[Double]>([])
            let model = try await InklingModel.load(from: store, id: "tiny") { part in told.with { $0.append(part) } }
            #expect(told.with { $0.last } == 1)
            #expect(model.origin?.id == "tiny" && model.origin?.release == 1 && model.origin?.givenUp == [])
            let reply = try await InklingSession(model: model).respond(to: Demo.prompt, options: .greedy)
            #expect(reply.text == Demo.answer)
            #expect(try await failure { try await store.remove("tiny") }.kind == "Busy")
        }
        try await patiently { try await store.remove("tiny") }
        #expect(try await store.list().isEmpty)
        #expect(try await failure { _ = try await InklingModel.load(from: store, id: "tiny") }.kind == "ModelNotFound")
        #expect(try await Demo.model().origin == nil)
    }

    @Test(arguments: ["reset=1500000*1", "truncate=1000000*1", "status=503,0*2", "hangup*1", "wrong-range*1"])
    func badNetworksAreSurvived(_ rule: String) async throws {
        let server = try ChaosServer(Scratch.demo)
        try await server.rule(rule)
        let store = try store()
        try await store.ensure(server.source(Scratch.demo)).wait()
        #expect(try await store.verify("model").isSound)
        #expect(try await server.count().requests > 1)
    }

    @Test func whatCannotBeHadIsSaid() async throws {
        let server = try ChaosServer(Scratch.demo)
        let store = try store()
        let missing = StoreSource.url(server.url("/none.gguf"), sha256: String(repeating: "0", count: 64), size: 7)
        let error = try await failure { try await store.ensure(missing).wait() }
        #expect(error.kind == "ModelNotFound", "\(error)")
        // Other bytes than were promised.
        let wrong = StoreSource.url(
            server.url(), sha256: String(repeating: "0", count: 64), size: Scratch.demo.count)
        #expect(try await failure { try await store.ensure(wrong).wait() }.kind == "Integrity")
        #expect(try await store.list().isEmpty)
    }

    /// A hub as Hugging Face's: an address that says what the file is and leads to its bytes. Then an update that turns
    /// out damaged, and the release before it, the app being told; then a rollback.
    @Test func aHubAndAnUpdate() async throws {
        let served = Locked(Scratch.demo)
        let (first, second) = try (Scratch.digest(Scratch.demo), Scratch.digest(Scratch.other))
        let hub = try LocalServer { request in
            let file = served.with { $0 }
            if request.path.hasPrefix("/o/r/resolve/main/") {
                let digest = file == Scratch.demo ? first : second
                let head = "X-Linked-Etag: \"\(digest)\"\r\nX-Linked-Size: \(file.count)\r\nContent-Length: 0"
                return .init(head: "302 Found\r\nLocation: /bytes\r\n\(head)")
            }
            let range = request.headers["range"]!.dropFirst("bytes=".count).split(separator: "-").map { Int($0)! }
            let part = file[range[0]...min(range[1], file.count - 1)]
            let place = "Content-Range: bytes \(range[0])-\(range[0] + part.count - 1)/\(file.count)"
            return .init(head: "206 Partial\r\n\(place)\r\nContent-Length: \(part.count)", body: Data(part))
        }
        let store = try store { $0.hub = hub.url("") }
        let source = StoreSource.hub("o/r", "sub/Tiny Q8.gguf")
        #expect(source.description == "o/r/sub/Tiny Q8.gguf@main")
        try await store.ensure(source).wait()
        #expect(hub.requests.with { $0.first?.path } == "/o/r/resolve/main/sub/Tiny%20Q8.gguf")
        do {
            // Five good answers, and it has proved itself.
            let old = try await InklingModel.load(from: store, id: "tiny-q8")
            for _ in 0..<5 { _ = try await InklingSession(model: old).respond(to: Demo.prompt, options: .greedy) }
        }
        #expect(try await store.list().first?.isOnTrial == false)

        served.with { $0 = Scratch.other }
        try await store.ensure(source).wait()
        #expect(try await store.list().first?.release == 1)
        try await store.ensure(source, options: EnsureOptions(update: true)).wait()
        let updated = try #require(try await store.list().first)
        #expect(updated.release == 2 && updated.isOnTrial && updated.previous == 1)

        try damage(second)
        let model = try await InklingModel.load(from: store, id: "tiny-q8")
        let origin = try #require(model.origin)
        #expect(origin.release == 1 && origin.givenUp.map(\.release) == [2] && origin.givenUp[0].id == "tiny-q8")
        #expect(origin.givenUp[0].why.contains("damaged"))
        #expect(try await InklingSession(model: model).respond(to: Demo.prompt, options: .greedy).text == Demo.answer)
        await model.close()
        #expect(try await failure { try await store.rollback("tiny-q8") }.kind == "InvalidInput")
    }

    /// Flips a bit of an installed file.
    func damage(_ digest: String) throws {
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        let objects = files.compactMap { $0 as? URL }.filter {
            $0.lastPathComponent.contains(digest) && $0.path.contains("/objects/") && !$0.path.contains("panels")
        }
        let object = try #require(objects.first, "no object \(digest)")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: object.path)
        let handle = try FileHandle(forUpdating: object)
        try handle.seek(toOffset: 2_500_000)
        let byte = try #require(try handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: 2_500_000)
        try handle.write(contentsOf: [byte ^ 1])
        try handle.close()
    }

    /// The query of an address may be a signature: it is kept, so that somebody can ask again, and not shown.
    @Test func queriesAreKeptAndNotShown() {
        let digest = String(repeating: "0", count: 64)
        let signed = StoreSource.url("https://h.example/m.gguf?sign=secret", sha256: digest, size: 7)
        #expect("\(signed)" == "https://h.example/m.gguf?…#sha256=\(digest)&size=7")
        #expect(signed.text == "https://h.example/m.gguf?sign=secret#sha256=\(digest)&size=7")
        #expect(StoreSource(signed.text).text == signed.text)
        let catalog = StoreSource.catalog("https://h.example/c.json?secret", model: "m")
        #expect(catalog.description == "catalog:https://h.example/c.json?…#m")
        for plain in ["o/r/what?.gguf@main", "file:/tmp/a://b?c", "https://h.example/m.gguf#size=7"] {
            #expect(StoreSource(plain).description == plain)
        }
    }

    @Test func damageIsFoundAndRepaired() async throws {
        let server = try ChaosServer(Scratch.demo)
        let store = try store()
        let source = try server.source(Scratch.demo)
        try await store.ensure(source).wait()
        let told = Locked(0.0)
        #expect(try await store.verify("model") { part in told.with { $0 = part } }.isSound)
        #expect(told.with { $0 } == 1)
        let before = try await server.count().bytes
        try damage(Scratch.digest(Scratch.demo))
        let verified = try await store.verify("model")
        #expect(verified.bytes == Scratch.demo.count && verified.damaged.map(\.chunks) == [[2]])
        #expect(try await store.list().first?.isComplete == false)
        try await store.ensure(source).wait()
        #expect(try await store.verify("model").isSound)
        #expect(try await server.count().bytes - before <= 2 << 20)
        // Another may take the place of one that is damaged.
        try await store.ensure(.file(Demo.file), options: EnsureOptions(id: "spare")).wait()
        let model = try await InklingModel.load(from: store, id: "none", alternatives: ["spare"])
        #expect(model.origin?.id == "spare" && model.origin?.givenUp.map(\.id) == ["none"])
        #expect(model.origin?.givenUp[0].release == nil)
    }

    @Test func aVerificationIsStoppedWithItsTask() async throws {
        let server = try ChaosServer(Scratch.demo)
        let store = try store()
        try await store.ensure(try server.source(Scratch.demo)).wait()
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let (parts, gate) = (Locked(0), DispatchSemaphore(value: 0))
        let task = Task {
            try await store.verify("model") { _ in
                parts.with { $0 += 1 }
                start.yield()
                // Not for ever: the task may hear that it is cancelled a part later.
                _ = gate.wait(timeout: .now() + 3)
            }
        }
        for await _ in started { break }
        task.cancel()
        gate.signal()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        let told = parts.with { $0 }
        _ = try await store.verify("model") { _ in parts.with { $0 += 1 } }
        let whole = parts.with { $0 } - told
        #expect(told < whole, "\(told) of \(whole)")
        #expect(try await store.verify("model").isSound)
    }

    /// Lets one chunk through and no more, until the server is cleared: however slow this machine is, the download is in
    /// the middle.
    func stall(_ server: ChaosServer) async throws {
        try await server.rule("truncate=1500000@first")
        try await server.rule("status=503@last")
    }

    /// Reads until the server refuses.
    func untilItStalls(_ download: InklingDownload) async throws {
        for try await event in download.events {
            if case .waiting(.retrying) = event { return }
        }
        throw Unexpected("it did not stall")
    }

    @Test func pauseResumeCancelAndGoOn() async throws {
        let server = try ChaosServer(Scratch.demo)
        try await stall(server)
        let store = try store()
        let source = try server.source(Scratch.demo)
        let first = try store.ensure(source)
        #expect(try store.download("model")?.id == "model")
        try await untilItStalls(first)
        first.cancel()
        #expect(try await failure { try await first.wait() }.kind == "Cancelled")

        let second = try store.ensure(source)
        try await untilItStalls(second)
        second.pause()
        for try await event in second.events where event == .waiting(.paused) { break }
        try await server.clear()
        let requests = try await server.count().requests
        try await Task.sleep(for: .milliseconds(300))
        #expect(try await server.count().requests == requests)
        second.resume()
        // What has arrived is not fetched again.
        let events = try await all(second)
        let bytes = events.compactMap { if case .downloading(let bytes, _, _, _) = $0 { bytes } else { nil } }
        #expect(bytes.first ?? 0 >= 1 << 20, "\(bytes)")
        #expect(try await store.verify("model").isSound)
        // What was cut off, and the rest.
        #expect(try await server.count().bytes == Scratch.demo.count - (1 << 20) + 1_500_000)
    }

    @Test func downloadsWaitForTheNetworkTheyWereToldTo() async throws {
        let server = try ChaosServer(Scratch.demo)
        let network = Locked(NetworkState(online: true, metered: true))
        let store = try store { $0.network = { network.with { $0 } } }
        let download = try store.ensure(try server.source(Scratch.demo), options: EnsureOptions(unmeteredOnly: true))
        var waited: [WaitReason] = []
        for try await event in download.events {
            guard case .waiting(let reason) = event else { continue }
            waited.append(reason)
            if reason == .metered { network.with { $0 = NetworkState(online: false) } }
            if reason == .noNetwork { network.with { $0 = NetworkState(online: true, metered: false) } }
            try store.networkChanged()
        }
        #expect(waited == [.metered, .noNetwork])
        #expect(try await server.count().bytes == Scratch.demo.count)
    }

    /// Two run at a time, and tell how fast they are and how long it takes yet.
    @Test func thoseWithAHigherPriorityComeFirst() async throws {
        let served = try Scratch.folder()
        let files = try (0..<4).map { number in
            let file = Scratch.demo + Data(repeating: 0, count: 4096 * (number + 1))
            try file.write(to: served.appending(path: "m\(number).gguf"))
            return file
        }
        let (server, store) = (try ChaosServer(folder: served), try store())
        try await server.rule("drip=200000")
        let downloads = try files.enumerated().map { number, file in
            let source = try StoreSource.url(
                server.url("/m\(number).gguf"), sha256: Scratch.digest(file), size: file.count)
            return try store.ensure(source, options: EnsureOptions(priority: number))
        }
        for behind in downloads[..<2] {
            var isQueued = false
            for try await event in behind.events where event == .waiting(.queued) {
                isQueued = true
                break
            }
            #expect(isQueued, "\(behind.id)")
        }
        for ahead in downloads[2...] {
            var speed = 0.0
            for try await event in ahead.events {
                guard case .downloading(_, _, let rate, let remaining) = event, rate > 0 else { continue }
                #expect(remaining ?? .zero > .zero)
                speed = rate
                break
            }
            #expect(speed > 0, "\(ahead.id)")
        }
        try await server.clear()
        for download in downloads { try await download.wait() }
        #expect(try await store.list().map(\.id) == ["m0", "m1", "m2", "m3"])
    }

    /// Who watches and who does not is nothing to a download.
    @Test func watchersComeAndGo() async throws {
        let server = try ChaosServer(Scratch.demo)
        let network = Locked(NetworkState(online: false))
        let store = try store { $0.network = { network.with { $0 } } }
        let download = try store.ensure(try server.source(Scratch.demo))
        // The download waits for ever: a watcher that did not hear of its task's end would wait as long.
        for round in 0..<20 {
            let waits = Locked(false)
            let task = Task {
                for try await event in download.events where event == .waiting(.noNetwork) { waits.with { $0 = true } }
            }
            while round > 0 && !waits.with({ $0 }) { await Task.yield() }
            if round > 10 { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        var iterator = download.events.makeAsyncIterator()
        #expect(try await iterator.next() == .resolving)
        let all: @Sendable () async throws -> [DownloadEvent] = {
            var events: [DownloadEvent] = []
            for try await event in download.events { events.append(event) }
            return events
        }
        async let (one, two) = (all(), all())
        #expect(try store.download(download.id) != nil)
        network.with { $0 = NetworkState() }
        try store.networkChanged()
        for events in try await [one, two] { #expect(events.first == .resolving && events.last == .ready(id: "model")) }
        #expect(try store.download(download.id) == nil)
    }

    @Test func whatDoesNotFitIsSaidWithNumbers() async throws {
        let server = try ChaosServer(Scratch.demo)
        let store = try store {
            $0.budget = 1_000_000
            $0.availableMemory = { 1_000_000 }
        }
        let source = try server.source(Scratch.demo)
        let error = try await failure { try await store.ensure(source).wait() }
        guard case .storageFull(let need, let have, _) = error else { throw Unexpected("\(error)") }
        #expect(need >= Scratch.demo.count && have <= 1_000_000)
        guard case .noMemory(let need, 1_000_000, let suggestion) = try await store.fit(source) else {
            throw Unexpected("it fits")
        }
        #expect(need > Scratch.demo.count && !suggestion.isEmpty)
        let roomy = try await store.fit(source, options: LoadOptions(availableMemory: { 1 << 40 }))
        guard case .noStorage(Scratch.demo.count, _, _) = roomy else { throw Unexpected("\(roomy)") }
    }

    @Test func closingInTheMiddle() async throws {
        let server = try ChaosServer(Scratch.demo)
        try await stall(server)
        let source = try server.source(Scratch.demo)
        let first = try store()
        #expect(try await failure { _ = try store() }.kind == "Busy")
        let download = try first.ensure(source)
        try await untilItStalls(download)
        await first.close()
        await first.close()
        #expect(try await failure { try await download.wait() }.kind == "Cancelled")
        #expect(try await failure { _ = try await first.list() }.kind == "Cancelled")
        #expect(try await failure { _ = try first.ensure(source) }.kind == "Cancelled")
        #expect(try await failure { _ = try await InklingModel.load(from: first, id: "model") }.kind == "Cancelled")
        // Without a word, too: the folder is free when the store is gone.
        var second: InklingStore? = try store()
        _ = try second?.ensure(source)
        second = nil
        try await server.clear()
        let third = try await patiently { try self.store() }
        try await third.ensure(source).wait()
    }

    @Test func nonsenseIsRefused() async throws {
        let store = try store()
        let digest = String(repeating: "a", count: 64)
        let sources: [StoreSource] = [
            "", "nonsense", "a\0b/c/d", .hub("", "f.gguf"), .hub("o", "f.gguf"), .hub("../r", "f.gguf"),
            .hub("file:/etc", "passwd"), .hub("catalog:https://a/b#c/r", "f"), .hub("o/r", "a://b"), .hub("o/r", "../f"),
            .hub("o/r", "f.gguf", revision: ""), .hub("o/r", "f.gguf", revision: "a@b"), .hub("o/r", "f\0.gguf"),
            .url("file:///etc/passwd", sha256: digest, size: 1), .url("ftp://a/b", sha256: digest, size: 1),
            .url("https://a/f.gguf", sha256: "00", size: 1), .url("https://a/f.gguf", sha256: digest, size: 0),
            .url("https://a/f.gguf", sha256: digest, size: -1), .url("https://a/f#x", sha256: digest, size: 1),
            .url("https://a/f.gguf", sha256: digest + "&size=1", size: 2), .file(""), .file("/a\0b"), .file("/a\nb"),
            .catalog("https://a/c.json", model: "A"), .catalog("https://a/c#d", model: "m"),
            .catalog("https://unknown/c.json", model: "m"),
        ]
        for source in sources {
            let error = try await failure { _ = try store.ensure(source) }
            #expect(error.kind == "InvalidInput", "\(source): \(error)")
        }
        let plain = try await failure { _ = try store.ensure(.url("https://u:p@a/f.gguf", sha256: digest, size: 1)) }
        #expect(["InvalidInput", "Network"].contains(plain.kind))
        let good = StoreSource.file(Demo.file)
        for id in ["", "A", "../x", "a/b", "a\0", "ä", ".a", "nul", String(repeating: "a", count: 101)] {
            #expect(try await failure { _ = try store.ensure(good, options: EnsureOptions(id: id)) }.kind == "InvalidInput")
            #expect(try await failure { try await store.remove(id) }.kind == "InvalidInput")
            #expect(try await failure { _ = try store.download(id) }.kind == "InvalidInput")
            #expect(try await failure { _ = try await InklingModel.load(from: store, id: id) }.kind == "InvalidInput")
            let load = try await failure { _ = try await InklingModel.load(from: store, id: "a", alternatives: [id]) }
            #expect(load.kind == "InvalidInput")
        }
        for id in ["never", "seen"] {
            #expect(try await failure { try await store.pin(id) }.kind == "ModelNotFound")
            #expect(try await failure { try await store.rollback(id) }.kind == "ModelNotFound")
            #expect(try await failure { _ = try await store.verify(id) }.kind == "ModelNotFound")
        }
        #expect(try await failure { _ = try await store.fit(good, context: -1) }.kind == "InvalidInput")
        #expect(try await failure { _ = try store.ensure(good, options: EnsureOptions(priority: .max)) }.kind == "InvalidInput")
        #expect(try await store.gc(olderThan: .seconds(-5)) == 0)
        #expect(try await failure { try await store.ensure(.file("/none.gguf")).wait() }.kind == "ModelNotFound")
        #expect(try await store.list().isEmpty)
        for change: (inout StoreOptions) -> Void in [
            { $0.budget = -1 }, { $0.keepFree = -1 }, { $0.hub = "no address" }, { $0.folder = Demo.file },
        ] {
            var options = StoreOptions(folder: try Scratch.folder())
            change(&options)
            let error = try await failure { _ = try InklingStore(options) }
            #expect(["InvalidInput", "Network"].contains(error.kind), "\(error)")
        }
    }

    @Test func onlySignedTakesNothingElse() async throws {
        let store = try store { $0.onlySigned = true }
        #expect(try await failure { _ = try store.ensure(.file(Demo.file)) }.kind == "InvalidInput")
    }

    @Test func theAppHasTheKeys() throws {
        struct Safe: KeyProvider {
            func key(_ name: String) throws -> Data {
                guard name == "a" else { throw InklingError.invalid("key", "there is no \(name)") }
                return Data(repeating: 7, count: 32)
            }
        }
        let keys = Keys(Safe())
        #expect(try keys.key(id: "a").count == 32)
        #expect(throws: (any Error).self) { try keys.key(id: "b") }
    }
}
