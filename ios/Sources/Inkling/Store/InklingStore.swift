// Models by id: the store, as apps see it.

import Foundation
internal import InklingFFI

/// A folder of models. Any task may use it.
///
/// A model that is listed is complete and verified. Downloads go on where they were, whatever ended them. One process at a
/// time has a store open, and an app needs one: keep it. When the last reference is gone, or after ``close()``, its
/// downloads stop, and what they have fetched stays for the next time.
public final class InklingStore: Sendable {
    /// Its folder.
    public let folder: URL
    let availableMemory: (@Sendable () -> Int?)?
    /// Nothing after it was closed.
    private let open: Locked<FfiStore?>

    /// Opens a store, or makes one where there is none. Throws ``InklingError/busy(sentence:)`` while somebody else has it,
    /// here or in another process.
    public init(_ options: StoreOptions = StoreOptions()) throws {
        folder = try ModelFolder.prepared(options.folder)
        availableMemory = options.availableMemory
        let open = Locked<FfiStore?>(nil)
        self.open = open
        let network = NetworkSignal(options.network) { [weak open] in
            // Fails only by a panic of the engine.
            try? open?.with { $0 }?.networkChanged()
        }
        let given = try options.ffi(folder: folder)
        let services = FfiStoreServices(
            transport: URLSessionTransport(),
            signals: .device(availableMemory: options.availableMemory, network: network),
            keys: options.keys.map(Keys.init)
        )
        let store = try calling { try FfiStore(options: given, services: services) }
        open.with { $0 = store }
    }

    deinit {
        // The downloads have a moment to stop, for which no app's main thread waits.
        guard let store = open.with({ $0 }) else { return }
        DispatchQueue.global(qos: .utility).async { withExtendedLifetime(store) {} }
    }

    /// Sees to it that a model is installed. Returns at once: the download goes on by itself and belongs to the store.
    ///
    /// Asking again for the same model gives the same download. One that is installed is ready without asking anybody,
    /// unless the options want an update; one that was found damaged is repaired.
    public func ensure(_ source: StoreSource, options: EnsureOptions = EnsureOptions()) throws -> InklingDownload {
        let (text, given) = try (source.checked(), options.ffi())
        return try with { try InklingDownload($0.ensure(source: text, options: given)) }
    }

    /// The download of a model that is on its way. Who has it by the model's id means the model: where an update follows
    /// that was asked for meanwhile, pausing, resuming and cancelling this one do the same to that.
    public func download(_ id: String) throws -> InklingDownload? {
        try with { try $0.download(id: id).map(InklingDownload.init) }
    }

    /// Looks at the network again. Only for apps that say by ``StoreOptions/network`` what network there is.
    public func networkChanged() throws {
        try with { try $0.networkChanged() }
    }

    /// Whether a model will run here with this context, asked before it is fetched: only its header is. Without a context
    /// it is the one of the options, which a load would have, or the usual one.
    public func fit(
        _ source: StoreSource, context: Int? = nil, options: LoadOptions = LoadOptions()
    ) async throws -> ModelFit {
        let (text, context) = try (source.checked(), unsigned("context", context ?? options.context))
        var options = options
        options.availableMemory = options.availableMemory ?? availableMemory
        return try await working { [options] store in
            try ModelFit(store.fit(engine: Engine.make(options), source: text, context: context, kv: options.kv))
        }
    }

    /// All models that are installed.
    public func list() async throws -> [InstalledModel] {
        try await working { try $0.list().map(InstalledModel.init) }
    }

    /// Reads every byte of a model's files and compares them with their digests. ``ensure(_:options:)`` repairs what is
    /// damaged.
    ///
    /// `onProgress` hears the part done, 0 to 1, on the thread that reads, which waits for it. Cancelling the task
    /// stops it.
    public func verify(
        _ id: String, onProgress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> StoreVerification {
        let verification = try await working { try $0.verify(id: id, progress: onProgress.map(Progress.init)) }
        return try await withTaskCancellationHandler {
            let found = try await waiting { try await verification.finish() }
            // It may have ended a moment before it was cancelled.
            try Task.checkCancellation()
            return StoreVerification(found)
        } onCancel: {
            // It fails only by a panic of the engine, which `finish` will report.
            try? verification.cancel()
        }
    }

    /// Keeps a model whatever happens, or no longer.
    public func pin(_ id: String, _ pinned: Bool = true) async throws {
        try await working { try $0.pin(id: id, pinned: pinned) }
    }

    /// Removes a model, all its releases, and what was downloaded of the next. Throws ``InklingError/busy(sentence:)``
    /// while somebody holds it loaded.
    public func remove(_ id: String) async throws {
        try await working { try $0.remove(id: id) }
    }

    /// Goes back to the release before, at the next load. Gives its number.
    @discardableResult
    public func rollback(_ id: String) async throws -> Int {
        try await working { try Int(clamping: $0.rollback(id: id)) }
    }

    /// Removes what nobody needs, and downloads that nobody went on with for this time. Gives the bytes that are free
    /// again.
    @discardableResult
    public func gc(olderThan age: Duration = .seconds(7 * 86_400)) async throws -> Int {
        let seconds = UInt64(clamping: age.components.seconds)
        return try await working { try Int(clamping: $0.gc(ageSeconds: seconds)) }
    }

    /// What takes how much.
    public func usage() async throws -> StoreUsage {
        try await working { try StoreUsage($0.usage()) }
    }

    /// Stops its downloads and lets go of the folder, before it returns, unless a call is under way or a model of the
    /// store is held: then with the end of these. What has arrived stays. Later calls throw
    /// ``InklingError/cancelled(sentence:)``; closing twice is harmless.
    public func close() async {
        // Throws nothing.
        try? await blocking { [open] in
            let last = open.with { store in
                defer { store = nil }
                return store
            }
            // Its end is here, before anybody is told, and not under the lock.
            withExtendedLifetime(last) {}
        }
    }

    /// Calls the engine, at once.
    func with<Result>(_ work: (FfiStore) throws -> Result) throws -> Result {
        guard let store = open.with({ $0 }) else { throw InklingError.cancelled(sentence: "the store was closed") }
        return try calling { try work(store) }
    }

    /// Calls the engine on a thread that may wait.
    func working<Result: Sendable>(_ work: @escaping @Sendable (FfiStore) throws -> Result) async throws -> Result {
        try Task.checkCancellation()
        return try await blocking { try self.with(work) }
    }
}
