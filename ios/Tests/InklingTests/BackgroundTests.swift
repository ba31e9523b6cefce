// Downloads in the background: everything that is decided about parts, with a stand-in for the system that goes on while
// the app is gone, and with Linux's ordinary session in place of the background one.

import Foundation
import Testing

@testable import Inkling

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// What the system does for an app: it fetches what it was given, whoever listens, and tells what happened when somebody
/// does.
final class System: PartSession, @unchecked Sendable {
    private struct Task {
        let part: BackgroundPart
        let request: URLRequest
    }

    private weak var listener: (any PartListener)?
    private let tasks = Locked<[UUID: Task]>([:])
    private let untold = Locked<[@Sendable (any PartListener) -> Void]>([])
    /// As the system, it tells one thing at a time.
    private let queue = DispatchQueue(label: "system")
    let begun = Locked<[BackgroundPart]>([])

    func listen(_ listener: any PartListener) {
        queue.async { [self] in
            self.listener = listener
            let told = untold.with { events in
                defer { events = [] }
                return events
            }
            for event in told { event(listener) }
            listener.toldAll()
        }
    }

    func begin(_ request: URLRequest, _ part: BackgroundPart, after: Double) throws {
        // As it would travel through a relaunch.
        guard let part = BackgroundPart.read(try part.described()) else { throw Unexpected("no part") }
        let id = UUID()
        begun.with { $0.append(part) }
        tasks.with { $0[id] = Task(part: part, request: request) }
        queue.asyncAfter(deadline: .now() + after) { [self] in
            URLSession.shared.downloadTask(with: request) { [self] file, response, error in
                let (kept, response) = (keep(file), response as? HTTPURLResponse)
                queue.async { [self] in
                    guard tasks.with({ $0.removeValue(forKey: id) }) != nil else { return }
                    tell { listener in
                        if let error { return listener.failed(part, request, error) }
                        let answer = PartAnswer(
                            status: response?.statusCode ?? 0,
                            range: response?.value(forHTTPHeaderField: "Content-Range"),
                            encoding: response?.value(forHTTPHeaderField: "Content-Encoding"),
                            retryAfter: response?.value(forHTTPHeaderField: "Retry-After"))
                        listener.finished(part, request, answer, file: kept)
                        try? FileManager.default.removeItem(at: kept)
                    }
                }
            }.resume()
        }
    }

    private func keep(_ file: URL?) -> URL {
        let kept = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).part")
        if let file { try? FileManager.default.moveItem(at: file, to: kept) }
        return kept
    }

    private func tell(_ event: @escaping @Sendable (any PartListener) -> Void) {
        if let listener { event(listener) } else { untold.with { $0.append(event) } }
    }

    /// As the system: behind what it tells.
    func running() async -> [BackgroundPart] {
        await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: tasks.with { $0.values.map(\.part) }) }
        }
    }

    func cancel(id: String) async { tasks.with { $0 = $0.filter { $0.value.part.id != id } } }

    /// The app is gone, and nobody listens.
    func end() { queue.sync { listener = nil } }
}

@Suite struct BackgroundTests {
    let folder: URL
    static let quick = RetryPolicy(attempts: 4, firstWait: 0.05, longestWait: 0.2)

    init() throws {
        folder = try Scratch.folder().appending(path: "store", directoryHint: .isDirectory)
    }

    func store() throws -> InklingStore { try InklingStore(StoreOptions(folder: folder, keepFree: 0)) }

    private func downloads(_ store: InklingStore, _ system: System) -> InklingBackgroundDownloads {
        InklingBackgroundDownloads(
            store: store, identifier: "test", session: system, partBytes: 1 << 20, policy: Self.quick)
    }

    /// Watches to the last word about a model, and gives all.
    func end(_ events: AsyncStream<BackgroundDownloadEvent>) async throws -> [BackgroundDownloadEvent] {
        var seen: [BackgroundDownloadEvent] = []
        for await event in events {
            seen.append(event)
            switch event {
            case .ready, .failed: return seen
            case .downloading, .installing: break
            }
        }
        throw Unexpected("there was no end: \(seen)")
    }

    func isReady(_ events: [BackgroundDownloadEvent], _ id: String = "model") -> Bool {
        if case .ready(id)? = events.last { true } else { false }
    }

    @Test func partsAreFetchedAndTheModelIsInstalled() async throws {
        let server = try ChaosServer(Scratch.demo)
        let (store, system) = (try store(), System())
        let downloads = downloads(store, system)
        let events = downloads.events()
        #expect(try await downloads.ensure(server.source(Scratch.demo)) == "model")
        #expect(downloads.ids == ["model"])
        let seen = try await end(events)
        #expect(isReady(seen), "\(seen)")
        var last = 0
        for case .downloading(_, let bytes, let total) in seen {
            #expect(bytes >= last && total == Scratch.demo.count)
            last = bytes
        }
        #expect(last == Scratch.demo.count && system.begun.with { $0.count } == 4)
        #expect(try await server.count() == (4, Scratch.demo.count))
        #expect(try await store.verify("model").isSound && downloads.ids.isEmpty)
        // Once more: nothing is asked, and it is ready.
        let again = downloads.events()
        try await downloads.ensure(server.source(Scratch.demo))
        #expect(isReady(try await end(again)))
        #expect(try await server.count().requests == 4)
        let model = try await InklingModel.load(from: store, id: "model")
        #expect(try await InklingSession(model: model).respond(to: Demo.prompt, options: .greedy).text == Demo.answer)
    }

    /// The app is ended in the middle; the system goes on; the app is started for what has happened.
    @Test(arguments: [0, 300, 900]) func theAppIsEndedAndStartedAgain(_ milliseconds: Int) async throws {
        let server = try ChaosServer(Scratch.demo, "--throttle", "1500000")
        let system = System()
        do {
            let store = try store()
            try await { [downloads = downloads(store, system)] in
                try await downloads.ensure(server.source(Scratch.demo), options: EnsureOptions(id: "kept"))
                try await Task.sleep(for: .milliseconds(milliseconds))
            }()
            // Nobody listens any more.
            await store.close()
        }
        if milliseconds == 300 {
            while await !system.running().isEmpty { try await Task.sleep(for: .milliseconds(20)) }
        }
        let store = try await patiently { try self.store() }
        let downloads = downloads(store, system)
        let events = downloads.events()
        let told = Locked(0)
        let other = await MainActor.run {
            let own = downloads.handleEvents(forBackgroundURLSession: "test") { told.with { $0 += 1 } }
            #expect(own)
            return downloads.handleEvents(forBackgroundURLSession: "other") { told.with { $0 += 100 } }
        }
        #expect(!other)
        // The app wants its model at every start.
        try await downloads.ensure(server.source(Scratch.demo), options: EnsureOptions(id: "kept"))
        #expect(isReady(try await end(events), "kept"))
        #expect(try await server.count().bytes == Scratch.demo.count, "something was fetched twice")
        for _ in 0..<500 where told.with({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(told.with { $0 } == 1)
    }

    @Test(arguments: ["status=503*2", "status=429,0*1", "hangup*2", "whole*1", "wrong-range*1", "gzip*1"])
    func aServerThatFails(_ rule: String) async throws {
        let server = try ChaosServer(Scratch.demo)
        try await server.rule(rule)
        let (store, system) = (try store(), System())
        let downloads = downloads(store, system)
        let events = downloads.events()
        try await downloads.ensure(server.source(Scratch.demo))
        let seen = try await end(events)
        #expect(isReady(seen), "\(seen)")
        #expect(try await store.verify("model").isSound)
    }

    @Test func whatCannotBeHadIsSaid() async throws {
        let server = try ChaosServer(Scratch.demo)
        try await server.rule("status=404")
        let (store, system) = (try store(), System())
        let downloads = downloads(store, system)
        let events = downloads.events()
        try await downloads.ensure(server.source(Scratch.demo))
        guard case .failed("model", let error)? = try await end(events).last else { throw Unexpected("it did not fail") }
        #expect(["ModelNotFound", "Network"].contains(error.kind), "\(error)")
        let bad = try await failure { try await downloads.ensure("nonsense") }
        #expect(bad.kind == "InvalidInput")
    }

    @Test func nothingIsAskedForTwiceAndCancelEndsIt() async throws {
        let server = try ChaosServer(Scratch.demo, "--throttle", "300000")
        let (store, system) = (try store(), System())
        let downloads = downloads(store, system)
        let source = try server.source(Scratch.demo)
        for _ in 0..<3 { try await downloads.ensure(source) }
        #expect(system.begun.with { $0.count } == 4)
        let events = downloads.events()
        try await downloads.cancel("model")
        #expect(downloads.ids.isEmpty)
        #expect(await system.running().isEmpty)
        #expect(try await store.list().isEmpty)
        // No room is kept for it.
        let nothing = try await failure { try await store.remove("model") }
        #expect(nothing.kind == "ModelNotFound")
        // What ends of it later is let go, until somebody asks again.
        try await Task.sleep(for: .milliseconds(4500))
        #expect(try downloads.ids.isEmpty && store.download("model") == nil)
        #expect(try await store.list().isEmpty)
        try await downloads.ensure(source)
        #expect(isReady(try await end(events)))
    }

    /// Linux's session in place of the background one: what it tells is what the system would tell.
    @Test func theSystemsSession() async throws {
        let server = try ChaosServer(Scratch.demo)
        try await server.rule("status=503*1")
        let store = try store()
        let session = SystemPartSession(identifier: "linux", discretionary: false)
        let downloads = InklingBackgroundDownloads(
            store: store, session: session, partBytes: 1 << 20, policy: Self.quick)
        let events = downloads.events()
        try await downloads.ensure(server.source(Scratch.demo))
        let seen = try await end(events)
        #expect(isReady(seen), "\(seen)")
        #expect(try await server.count() == (5, Scratch.demo.count))
    }

    @Test func verdicts() {
        var part = BackgroundPart(
            source: "s", options: EnsureOptions(id: "a", unmeteredOnly: true), id: "a", file: "f", from: 10, length: 5,
            asked: 9)
        let policy = RetryPolicy()
        func verdict(_ status: Int, _ range: String? = nil, _ encoding: String? = nil, bytes: Int? = 5, after: String? = nil)
            -> PartVerdict
        {
            policy.verdict(
                part, PartAnswer(status: status, range: range, encoding: encoding, retryAfter: after), bytes: bytes)
        }
        #expect(verdict(206, "bytes 10-14/99") == .take && verdict(206, "bytes 10-14/*", "identity") == .take)
        #expect(verdict(206) == .leave && verdict(206, "bytes 10-15/99") == .leave)
        #expect(verdict(206, "bytes 10-14/99", bytes: 4) == .leave && verdict(206, "bytes 10-14/99", bytes: nil) == .leave)
        #expect(verdict(206, "bytes 10-14/99", "gzip") == .leave && verdict(200) == .leave && verdict(404) == .leave)
        #expect(verdict(503) == .again(after: 5) && verdict(429, after: "60") == .again(after: 60))
        #expect(verdict(503, after: "1e99") == .again(after: 3600) && verdict(503, after: "soon") == .again(after: 5))
        part.attempt = 4
        #expect(verdict(500) == .again(after: 80))
        part.attempt = 5
        #expect(verdict(500) == .leave && policy.verdict(part, URLError(.timedOut)) == .leave)
        part.attempt = 0
        #expect(policy.verdict(part, URLError(.networkConnectionLost)) == .again(after: 5))
        #expect(policy.verdict(part, URLError(.cancelled)) == .forget && policy.verdict(part, URLError(.badURL)) == .leave)
        #expect(BackgroundPart.read(try? part.described()) == part)
        #expect(BackgroundPart.read(nil) == nil && BackgroundPart.read("somebody else's") == nil)
        #expect(BackgroundPart.read("dev.inkling.part.1 {}") == nil)
    }
}
