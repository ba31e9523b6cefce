// A download and its events. It belongs to its store: whoever stops watching changes nothing.

internal import InklingFFI

/// A step of a download. They come in this order, with ``waiting(_:)`` anywhere between.
public enum DownloadEvent: Sendable, Equatable {
    /// The source is asked what there is to fetch.
    case resolving
    /// Nothing moves, for this reason; it goes on by itself, or when it is resumed.
    case waiting(WaitReason)
    /// Bytes come in. `bytes` are there, also from earlier, of `total` of all files; `rate` is in bytes a second, over the
    /// last seconds, and 0 while nothing is known.
    case downloading(bytes: Int, total: Int, rate: Double, remaining: Duration?)
    /// What is there is checked.
    case verifying(done: Int, total: Int)
    /// The model is tried, and takes its place.
    case activating
    /// The model is installed under this id. Nothing follows.
    case ready(id: String)
}

/// Why a download waits.
public enum WaitReason: Sendable, Hashable {
    /// Somebody paused it.
    case paused
    /// There is no network.
    case noNetwork
    /// The network costs money, and the download was told to wait for one that does not.
    case metered
    /// Others come first.
    case queued
    /// The server failed, and is asked again.
    case retrying(why: String)
    /// Another reason, in words.
    case other(why: String)
}

/// A download on its way, or at its end. Any task may use it.
///
/// It belongs to its store: letting go of this, leaving a loop over its ``events`` and cancelling the task that waits for
/// it change nothing. ``cancel()`` ends it.
public final class InklingDownload: Sendable, Identifiable {
    /// The id of the model.
    public let id: String
    private let ffi: FfiDownload

    init(_ ffi: FfiDownload) throws {
        self.ffi = ffi
        id = try ffi.id()
    }

    /// Its events. Each loop over them hears all steps from the beginning; progress that nobody read in time is left out.
    /// A loop throws what the download failed with.
    public var events: DownloadEvents { DownloadEvents(ffi: ffi) }

    /// Waits for the end, and gives the model's id.
    @discardableResult
    public func wait() async throws -> String {
        for try await event in events {
            if case .ready(let id) = event { return id }
        }
        return id
    }

    /// Stops it until it is resumed. What has arrived stays.
    public func pause() {
        // These three fail only by a panic of the engine, and then the events do, too.
        try? ffi.pause()
    }

    /// Lets it go on.
    public func resume() {
        try? ffi.resume()
    }

    /// Ends it: its loops throw ``InklingError/cancelled(sentence:)``. What has arrived stays, so that asking again goes
    /// on there, until ``InklingStore/gc(olderThan:)`` collects it.
    public func cancel() {
        try? ffi.cancel()
    }
}

/// The events of a download.
///
/// Leaving a loop, or cancelling its task, ends the loop and not the download. In a cancelled task the loop throws
/// `CancellationError` at once.
public struct DownloadEvents: AsyncSequence, Sendable {
    /// What the sequence holds.
    public typealias Element = DownloadEvent

    let ffi: FfiDownload

    /// Begins to watch, from the first step on.
    public func makeAsyncIterator() -> Iterator {
        Iterator(watcher: Watcher(ffi))
    }

    /// Watches one download.
    public struct Iterator: AsyncIteratorProtocol {
        let watcher: Watcher

        /// The next event; `nil` after the last.
        public mutating func next() async throws -> DownloadEvent? {
            try await watcher.next()
        }

        /// The next event; `nil` after the last.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> DownloadEvent? {
            try await watcher.next()
        }
    }
}

/// One who watches. The engine does not see that Swift cancels a task: so whoever stops watching says so, and nobody waits
/// for an event that may never come.
final class Watcher: Sendable {
    private let download: FfiDownload
    /// A handle for this watcher alone, made when it begins.
    private let own = Locked<FfiDownload?>(nil)

    init(_ download: FfiDownload) {
        self.download = download
    }

    deinit {
        // It fails only by a panic of the engine, and nobody is there to hear of that.
        try? own.with { $0 }?.leave()
    }

    func next() async throws -> DownloadEvent? {
        try Task.checkCancellation()
        let handle = try calling {
            try own.with {
                if let own = $0 { return own }
                let own = try download.again()
                $0 = own
                return own
            }
        }
        return try await withTaskCancellationHandler {
            try await waiting { try await handle.next().map(DownloadEvent.init) }
        } onCancel: {
            try? handle.leave()
        }
    }
}

extension DownloadEvent {
    init(_ event: FfiDownloadEvent) {
        self =
            switch event {
            case .resolving: .resolving
            case .waiting(let reason): .waiting(WaitReason(reason))
            case .downloading(let bytes, let total, let rate, let remaining):
                .downloading(
                    bytes: Int(clamping: bytes), total: Int(clamping: total), rate: rate,
                    // A year is as good as for ever, and fits.
                    remaining: remaining.map { .seconds(min($0, 86_400 * 365)) })
            case .verifying(let done, let total):
                .verifying(done: Int(clamping: done), total: Int(clamping: total))
            case .activating: .activating
            case .ready(let id): .ready(id: id)
            }
    }
}

extension WaitReason {
    init(_ reason: FfiWait) {
        self =
            switch reason {
            case .paused: .paused
            case .noNetwork: .noNetwork
            case .metered: .metered
            case .queued: .queued
            case .retrying(let why): .retrying(why: why)
            case .other(let why): .other(why: why)
            }
    }
}
