// Those who want to hear of downloads in the background.

import Foundation

/// Tells all watchers, of whom a slow one hears the newest.
final class BackgroundWatchers: Sendable {
    private struct State {
        var all: [Int: AsyncStream<BackgroundDownloadEvent>.Continuation] = [:]
        var next = 0
    }

    private let state = Locked(State())

    deinit {
        for watcher in state.with({ Array($0.all.values) }) { watcher.finish() }
    }

    /// Another watcher, from now on.
    func events() -> AsyncStream<BackgroundDownloadEvent> {
        // Old progress may go; the last word about a model stays.
        AsyncStream(bufferingPolicy: .bufferingNewest(256)) { continuation in
            let number = state.with { state in
                state.next += 1
                state.all[state.next] = continuation
                return state.next
            }
            continuation.onTermination = { [weak self] _ in
                self?.state.with { _ = $0.all.removeValue(forKey: number) }
            }
        }
    }

    func tell(_ event: BackgroundDownloadEvent) {
        for watcher in state.with({ Array($0.all.values) }) { watcher.yield(event) }
    }
}
