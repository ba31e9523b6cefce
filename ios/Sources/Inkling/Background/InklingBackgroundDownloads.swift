// Downloads that the system carries on with while the app sleeps, or after it was ended.

import Foundation

/// A step of a download in the background.
public enum BackgroundDownloadEvent: Sendable {
    /// `bytes` have come of the `total` that was asked for. What was there before is not counted.
    case downloading(id: String, bytes: Int, total: Int)
    /// All parts have ended, but the model is not installed with the last: the store sees to it, and fetches what could
    /// not be used.
    case installing(id: String, InklingDownload)
    /// The model is installed.
    case ready(id: String)
    /// It could not be installed. What has come stays: asking again goes on there.
    case failed(id: String, InklingError)

    /// The model that it is about.
    public var id: String {
        switch self {
        case .downloading(let id, _, _), .installing(let id, _), .ready(let id), .failed(let id, _): id
        }
    }
}

/// Downloads models while the app sleeps or is gone, by a background `URLSession`.
///
/// The store says what is missing, the system fetches it in parts, each part that comes is checked and kept at once, and
/// with the last one the model is installed, also if the app was ended and is only woken for that one, and without a
/// network: what the parts are for was noted when they were asked for. What the system began is found again when the app is
/// started anew: make the same object then, with the same identifier, early: before
/// `application(_:didFinishLaunchingWithOptions:)` returns. An app that is ended while it installs, or whose last part
/// cannot be used, has the model when it next calls ``ensure(_:options:)``.
///
/// An app needs one, for as long as it runs and the store is open: what comes while the store is closed is lost, and
/// fetched again.
///
/// The system follows redirects by itself in the background. The store's rules for them hold for what the app fetches while
/// it runs; here the digests say what is taken. Where the hub's token would go along, the redirects are followed before the
/// system is asked, so that it reaches no other host.
///
/// On Linux there are no such sessions: there it is an ordinary one, which ends with the process.
public final class InklingBackgroundDownloads: Sendable {
    /// The name of the system's session.
    public let identifier: String
    private let session: any PartSession
    private let keeper: PartKeeper

    /// Downloads for this store.
    ///
    /// `partBytes` is what is fetched anew when a part fails. The system takes its time with each part that an app asks
    /// for while it sleeps, so a few large ones are better than many small ones. With `discretionary` the system chooses a
    /// good time: on Wi-Fi, while the device is charged.
    public convenience init(
        store: InklingStore, identifier: String = "dev.inkling.models", partBytes: Int = 64 << 20, discretionary: Bool = false
    ) {
        let session = SystemPartSession(identifier: identifier, discretionary: discretionary)
        self.init(store: store, identifier: identifier, session: session, partBytes: partBytes)
    }

    init(
        store: InklingStore, identifier: String = "", session: any PartSession, partBytes: Int,
        policy: RetryPolicy = RetryPolicy()
    ) {
        self.identifier = identifier
        self.session = session
        keeper = PartKeeper(store, session, bytes: partBytes, policy: policy)
        keeper.start()
    }

    deinit {
        session.end()
    }

    /// Asks the system for what is missing of a model, and gives its id. The source is asked before this returns, so the
    /// app must be running; the rest needs it no more. Asking again, at every start for example, asks for nothing twice.
    @discardableResult
    public func ensure(_ source: StoreSource, options: EnsureOptions = EnsureOptions()) async throws -> String {
        try await keeper.ensure(source, options)
    }

    /// What happens from now on, to all models; each call is another watcher. Progress that nobody read in time is left
    /// out.
    public func events() -> AsyncStream<BackgroundDownloadEvent> {
        keeper.watchers.events()
    }

    /// The models that are on their way.
    public var ids: Set<String> { keeper.ids() }

    /// Ends the download of a model. What has come of it stays until ``InklingStore/gc(olderThan:)`` collects it.
    public func cancel(_ id: String) async throws {
        try await keeper.cancel(id)
    }

    /// For `application(_:handleEventsForBackgroundURLSession:completionHandler:)`: the handler is called when all that
    /// happened has been dealt with, or after 20 seconds. Gives `false`, and does nothing, for the session of somebody
    /// else.
    @MainActor public func handleEvents(
        forBackgroundURLSession identifier: String, completionHandler: @escaping () -> Void
    ) -> Bool {
        guard identifier == self.identifier else { return false }
        let handler = OnMain(completionHandler)
        keeper.gather(patience: 20) {
            Task { @MainActor in handler.call() }
        }
        return true
    }

    /// As ``handleEvents(forBackgroundURLSession:completionHandler:)``, for SwiftUI's `backgroundTask(.urlSession(…))`:
    /// returns when all that happened has been dealt with, or after 20 seconds.
    public func handleEvents() async {
        await withCheckedContinuation { continuation in
            keeper.gather(patience: 20) { continuation.resume() }
        }
    }
}

/// A closure of the main actor's, carried by others and called there only.
private final class OnMain: @unchecked Sendable {
    private let work: () -> Void

    init(_ work: @escaping () -> Void) {
        self.work = work
    }

    @MainActor func call() {
        work()
    }
}
