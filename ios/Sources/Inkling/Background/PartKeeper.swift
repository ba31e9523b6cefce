// What is decided about parts: which to ask for, what to do with a finished file, when to ask again, when a model is
// complete. Nothing here knows which system fetches them.

import Foundation
internal import InklingFFI

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Keeps count of the parts that are on their way. After a relaunch it finds them in the session.
final class PartKeeper: PartListener {
    private struct State {
        /// On their way, with the bytes that have come of each.
        var parts: [BackgroundPart.Key: (part: BackgroundPart, bytes: Int)] = [:]
        /// How many are asking the session what is on its way, and what has ended meanwhile: the answer may be older.
        var looking = 0
        var ended: Set<BackgroundPart.Key> = []
        /// How many are asking the store what is missing, and what came meanwhile: its answer may be older.
        var asking = 0
        var came: [BackgroundPart] = []
        /// Models of which a part has ended, and what else is needed to install them.
        var touched: [String: BackgroundPart] = [:]
        /// Whether the parts that were on their way before are known.
        var restored = false
        /// How often the system has said that it will tell what happened while the app was away, less how often it has
        /// said that this was all. The two may come in either order.
        var owed = 0
        var gathering: Bool { owed > 0 }
        /// Models that nobody wants any more, until somebody asks again: what ends of them later is let go.
        var cancelled: Set<String> = []
        /// Models that the store is installing.
        var installing: Set<String> = []
        /// Those who want to know when there is nothing left to do.
        var waiting: [Int: @Sendable () -> Void] = [:]
        var next = 0
    }

    private let store: InklingStore
    private let session: any PartSession
    private let policy: RetryPolicy
    private let bytes: UInt64
    private let state = Locked(State())
    let watchers = BackgroundWatchers()

    init(_ store: InklingStore, _ session: any PartSession, bytes: Int, policy: RetryPolicy) {
        self.store = store
        self.session = session
        self.bytes = UInt64(clamping: max(bytes, 1))
        self.policy = policy
    }

    /// Listens, and looks for parts of earlier times.
    func start() {
        session.listen(self)
        state.with { $0.looking += 1 }
        Task { [weak self, session] in
            let running = await session.running()
            self?.restore(running)
        }
    }

    /// Asks the session what is on its way, which it says after it has told what has ended.
    private func look() async {
        state.with { $0.looking += 1 }
        restore(await session.running())
    }

    // MARK: asking

    /// Gives the system what is missing of a model.
    func ensure(_ source: StoreSource, _ options: EnsureOptions) async throws -> String {
        let (text, given, bytes) = try (source.checked(), options.ffi(), bytes)
        state.with { $0.asking += 1 }
        defer {
            state.with { state in
                state.asking -= 1
                if state.asking == 0 { state.came = [] }
            }
            settle()
        }
        await look()
        let missing: FfiSegments
        do {
            missing = try await store.working { try $0.segments(source: text, options: given, bytes: bytes) }
        } catch InklingError.busy {
            // The store is at it already, with what came earlier or because the app asked it.
            if let part = state.with({ $0.parts.values.first { $0.part.source == text }?.part }) { return part.id }
            let id = try store.ensure(source, options: options).id
            state.with { _ = $0.cancelled.remove(id) }
            touch(
                BackgroundPart(source: text, options: options, id: id, file: "", from: 0, length: 0, asked: 0))
            return id
        }
        state.with { _ = $0.cancelled.remove(missing.id) }
        // What is on its way is not asked for twice, also if it is not known here yet.
        await look()
        let asked = missing.parts.reduce(0) { $0 + Int(clamping: $1.length) }
        let begun = BackgroundPart(
            source: text, options: options, id: missing.id, file: "", from: 0, length: 0, asked: asked)
        let parts = try missing.parts.map { part in
            guard let request = Self.request(part) else {
                throw InklingError.invalid("source", "\(part.url.prefix { $0 != "?" }) is no address of the web")
            }
            var new = begun
            (new.file, new.from, new.length) = (part.file, Int(clamping: part.from), Int(clamping: part.length))
            return (new, request)
        }
        try begin(parts)
        // Also if nothing is missing: then it is only installed.
        touch(begun)
        return missing.id
    }

    /// Has its model installed when nothing of it is on its way any more.
    private func touch(_ part: BackgroundPart) {
        state.with { if $0.touched[part.id] == nil { $0.touched[part.id] = part } }
        settle()
    }

    private static func request(_ part: FfiPart) -> URLRequest? {
        guard let url = URL(string: part.url) else { return nil }
        var request = URLRequest(url: url)
        request.cachePolicy = .reloadIgnoringLocalCacheData
        for header in part.headers { request.setValue(header.value, forHTTPHeaderField: header.name) }
        return request
    }

    /// Begins what is not on its way. All are noted before the first is begun: it may end before the second begins.
    private func begin(_ parts: [(BackgroundPart, URLRequest)]) throws {
        let new = state.with { state in
            parts.filter { part, _ in
                let known = state.parts.values.map(\.part) + state.came
                guard !known.contains(where: { $0.overlaps(part) }) else { return false }
                state.parts[part.key] = (part, 0)
                state.ended.remove(part.key)
                return true
            }
        }
        for (number, (part, request)) in new.enumerated() {
            do {
                try session.begin(request, part, after: 0)
            } catch {
                state.with { state in
                    for (part, _) in new[number...] { state.parts[part.key] = nil }
                }
                throw error
            }
        }
    }

    func cancel(_ id: String) async throws {
        state.with { state in
            state.cancelled.insert(id)
            state.parts = state.parts.filter { $0.value.part.id != id }
            state.touched[id] = nil
        }
        await session.cancel(id: id)
        // Its room is free for others from now on.
        try await blocking { [store] in try store.with { try $0.callOff(id: id) } }
        try store.download(id)?.cancel()
        release()
    }

    // MARK: what the session tells

    /// These are on their way, but for those that have ended since somebody asked.
    private func restore(_ running: [BackgroundPart]) {
        state.with { state in
            for part in running
            where state.parts[part.key] == nil && !state.ended.contains(part.key) && !state.cancelled.contains(part.id) {
                state.parts[part.key] = (part, 0)
            }
            state.looking -= 1
            if state.looking == 0 { state.ended = [] }
            state.restored = true
        }
        settle()
    }

    func received(_ part: BackgroundPart, bytes: Int) {
        let known = state.with { state in
            guard state.parts[part.key] != nil else { return false }
            state.parts[part.key] = (part, bytes)
            return true
        }
        if known { tellProgress(part) }
    }

    func finished(_ part: BackgroundPart, _ request: URLRequest, _ answer: PartAnswer, file: URL) {
        let path = file.path(percentEncoded: false)
        let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        // One that nobody wants any more must not be the last that its model lacks.
        var verdict = isCancelled(part.id) ? .forget : policy.verdict(part, answer, bytes: size)
        var installed: [String] = []
        if verdict == .take {
            do {
                // Here and now: the file is gone when this returns.
                installed = try store.with {
                    try $0.handOver(file: part.file, from: UInt64(clamping: part.from), path: path).installed
                }
            } catch InklingError.modelNotFound {
                // Nobody waits for it any more: the model is there, or was removed.
                verdict = .forget
            } catch {
                // The store says why when it installs the model.
                verdict = .leave
            }
        }
        conclude(part, request, verdict, installed: installed)
    }

    func failed(_ part: BackgroundPart, _ request: URLRequest, _ error: any Error) {
        conclude(part, request, policy.verdict(part, error))
    }

    private func conclude(
        _ part: BackgroundPart, _ request: URLRequest, _ verdict: PartVerdict, installed: [String] = []
    ) {
        let verdict = isCancelled(part.id) ? .forget : verdict
        if case .again(let after) = verdict {
            var next = part
            next.attempt += 1
            state.with { $0.parts[part.key] = (next, 0) }
            if (try? session.begin(request, next, after: after)) != nil {
                // Somebody may have looked for what to end before this was begun.
                if isCancelled(part.id) { Task { [session] in await session.cancel(id: part.id) } }
                return
            }
        }
        let ready = state.with { state in
            state.parts[part.key] = nil
            if state.looking > 0 { state.ended.insert(part.key) }
            if verdict == .take && state.asking > 0 { state.came.append(part) }
            if verdict != .forget { state.touched[part.id] = part }
            for id in installed { state.touched[id] = nil }
            // Whoever installs it at this moment finds it there, and says so.
            return installed.filter { !state.installing.contains($0) }
        }
        tellProgress(part)
        for id in ready { watchers.tell(.ready(id: id)) }
        settle()
    }

    private func isCancelled(_ id: String) -> Bool { state.with { $0.cancelled.contains(id) } }

    // MARK: installing

    /// The system is about to tell what happened while the app was away. `done` is called when that is told and all that
    /// follows from it is done, or when the system's patience ends.
    func gather(patience: Double, _ done: @escaping @Sendable () -> Void) {
        let number = state.with { state in
            state.owed += 1
            state.next += 1
            state.waiting[state.next] = done
            return state.next
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + patience) { [weak self] in
            guard let done = self?.state.with({ $0.waiting.removeValue(forKey: number) }) else { return }
            // What the system did not say by now, nobody waits for any more.
            self?.state.with { $0.owed = min($0.owed, 0) }
            self?.settle()
            done()
        }
        settle()
    }

    func toldAll() {
        state.with { $0.owed = max($0.owed - 1, -1) }
        settle()
    }

    /// Sees to the models of which nothing is on its way any more and that the last part did not install; not while the
    /// store is asked what is missing, for it would fetch that at the same time.
    private func settle() {
        let complete = state.with { state -> [BackgroundPart] in
            guard state.restored && !state.gathering && state.asking == 0 else { return [] }
            let busy = Set(state.parts.values.map(\.part.id)).union(state.installing)
            let complete = state.touched.values.filter { !busy.contains($0.id) }
            for part in complete {
                state.touched[part.id] = nil
                state.installing.insert(part.id)
            }
            return complete
        }
        for part in complete {
            Task { await install(part) }
        }
        release()
    }

    private func install(_ part: BackgroundPart) async {
        do {
            guard !isCancelled(part.id) else { throw CancellationError() }
            let download = try store.ensure(StoreSource(part.source), options: part.options)
            if isCancelled(part.id) { download.cancel() }
            watchers.tell(.installing(id: part.id, download))
            try await download.wait()
            watchers.tell(.ready(id: part.id))
        } catch {
            watchers.tell(.failed(id: part.id, error as? InklingError ?? .cancelled(sentence: "the task was cancelled")))
        }
        state.with { _ = $0.installing.remove(part.id) }
        settle()
    }

    /// Tells those who wait for it that there is nothing left to do now.
    private func release() {
        let done = state.with { state -> [@Sendable () -> Void] in
            guard state.restored, !state.gathering, state.installing.isEmpty, state.touched.isEmpty || !state.parts.isEmpty
            else { return [] }
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for done in done { done() }
    }

    // MARK: telling

    private func tellProgress(_ part: BackgroundPart) {
        let missing = state.with { state in
            state.parts.values.filter { $0.part.id == part.id }.reduce(0) { $0 + max($1.part.length - $1.bytes, 0) }
        }
        watchers.tell(.downloading(id: part.id, bytes: max(part.asked - missing, 0), total: part.asked))
    }

    /// The models of which parts are on their way.
    func ids() -> Set<String> {
        state.with { Set($0.parts.values.map(\.part.id)).union($0.installing).subtracting($0.cancelled) }
    }
}
