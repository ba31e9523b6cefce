// What the other files share: a value behind a lock, calls of the engine, and a place for calls that block.

import Foundation
internal import InklingFFI

/// A value that many tasks may use, one at a time. The lock is what makes it sendable.
final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) {
        self.value = value
    }

    func with<Result>(_ work: (inout Value) throws -> Result) rethrows -> Result {
        try lock.withLock { try work(&value) }
    }
}

/// Calls the engine; whatever goes wrong there is an ``InklingError``.
func calling<Result>(_ work: () throws -> Result) throws -> Result {
    do {
        return try work()
    } catch {
        throw translated(error)
    }
}

/// As ``calling(_:)``, for what waits. In a cancelled task the reason is the task's own.
func waiting<Result>(
    isolation: isolated (any Actor)? = #isolation,
    _ work: () async throws -> sending Result
) async throws -> sending Result {
    do {
        return try await work()
    } catch {
        throw Task.isCancelled ? CancellationError() : translated(error)
    }
}

/// Makes a call that blocks its thread, away from the few threads that run Swift's tasks: each waits for the engine's
/// step at most.
func blocking<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global(qos: .userInitiated).async {
            continuation.resume(with: Swift.Result { try calling(work) })
        }
    }
}

/// The engine counts with fixed widths and without a sign: a number that does not fit is refused here, in its words.
func unsigned(_ field: String, _ number: Int?) throws -> UInt32? {
    guard let number else { return nil }
    guard let fitting = UInt32(exactly: number) else {
        throw InklingError.invalid(field, "\(number) is not possible: give a number from 0 to \(UInt32.max)")
    }
    return fitting
}

/// Token ids as the engine counts them.
func unsigned(tokens: [Int]) throws -> [UInt32] {
    try tokens.map { token in
        guard let id = UInt32(exactly: token) else {
            throw InklingError.invalid("tokens", "\(token) is no token id: give ids below the size of the vocabulary")
        }
        return id
    }
}
