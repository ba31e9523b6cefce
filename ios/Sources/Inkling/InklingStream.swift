// A running answer as an asynchronous sequence.
//
// Nothing is pushed: the reader asks for the next events when it has room for them. The engine runs at most 64 events
// ahead of a slow reader, then waits for it, and loses nothing.

internal import InklingFFI

/// The events of an answer.
///
/// Nothing is computed before the first event is asked for. Each loop over the sequence asks anew. Leaving a loop stops
/// the engine within one token.
///
/// If the task that reads is cancelled, the loop throws `CancellationError` as soon as the engine has stopped: one token,
/// or one chunk of a prompt.
public struct InklingStream: AsyncSequence, Sendable {
    /// What the sequence holds.
    public typealias Element = InklingEvent

    /// Asks the engine; blocks its thread.
    let start: @Sendable (Answer) throws -> FfiStream

    /// Begins to read; the answer is asked for with the first event.
    public func makeAsyncIterator() -> Iterator {
        Iterator(reading: Reading(Answer(start)))
    }

    /// Reads one answer. When the last copy of it is gone, the engine stops.
    public struct Iterator: AsyncIteratorProtocol {
        let reading: Reading

        /// The next event; `nil` after the last.
        public mutating func next() async throws -> InklingEvent? {
            try await next(isolation: nil)
        }

        /// The next event; `nil` after the last. Events that are there already come without leaving the caller's actor.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> InklingEvent? {
            if !Task.isCancelled, let event = reading.answer.buffered() { return event }
            return try await reading.answer.next()
        }
    }

    /// Reads to the end.
    func response() async throws -> InklingResponse {
        let answer = Answer(start)
        // Whoever cancels the task and asks again at once is not told that the session is busy: the answer is cancelled
        // when `cancel` of the task returns, wherever this loop is then.
        return try await withTaskCancellationHandler {
            var (text, thinking) = ("", "")
            while let event = try await answer.next() {
                switch event {
                case .text(let delta): text += delta
                case .thinking(let delta): thinking += delta
                case .finished(let stats): return InklingResponse(text: text, thinking: thinking, stats: stats)
                case .prefilling, .generating, .logProbs: break
                }
            }
            throw InklingError.defect("an answer ended without its last event")
        } onCancel: {
            answer.stop()
        }
    }
}

/// Stops an answer that nobody reads any more. Not the answer's own end: whoever works for it may hold that a moment longer.
final class Reading: Sendable {
    let answer: Answer

    init(_ answer: Answer) {
        self.answer = answer
    }

    deinit {
        answer.stop()
    }
}

/// One answer on its way, from before it is asked for to its end. It is there once for all copies of an iterator, which
/// a program may carry to other tasks: so its state is behind a lock, and a second reader is told that it is busy.
final class Answer: Sendable {
    private struct State {
        var phase = Phase.ahead
        /// Whether its task was cancelled, or nobody reads it.
        var stopped = false
        /// Events that came with the last batch, the next one last.
        var buffer: [InklingEvent] = []
    }

    private enum Phase {
        case ahead
        case starting
        case running(FfiStream)
        case over
    }

    private let start: @Sendable (Answer) throws -> FfiStream
    private let state = Locked(State())

    init(_ start: @escaping @Sendable (Answer) throws -> FfiStream) {
        self.start = start
    }

    /// The next event, if it is there.
    func buffered() -> InklingEvent? {
        state.with { $0.stopped ? nil : $0.buffer.popLast() }
    }

    /// Waits for the next event.
    func next() async throws -> InklingEvent? {
        if !Task.isCancelled, let event = buffered() { return event }
        do {
            return try await withTaskCancellationHandler {
                try await waiting { try await pull() }
            } onCancel: {
                stop()
            }
        } catch {
            // Lets go of the engine's side: after an error nothing comes.
            if case InklingError.busy = error {} else { state.with { $0.phase = .over } }
            throw error
        }
    }

    /// Stops it because its task was cancelled, or nobody reads it.
    func stop() {
        let phase = state.with {
            $0.stopped = true
            return $0.phase
        }
        // It fails only by a panic of the engine, which the next event will report.
        if case .running(let stream) = phase { try? stream.cancel() }
    }

    /// Asks the engine, unless it is too late. When this returns, `stop` has an effect or had one.
    func begin(_ start: () throws -> FfiStream) throws -> FfiStream {
        if state.with({ $0.stopped }) { throw CancellationError() }
        let stream = try start()
        let stopped = state.with {
            $0.phase = .running(stream)
            return $0.stopped
        }
        if stopped { try stream.cancel() }
        return stream
    }

    private func pull() async throws -> InklingEvent? {
        guard let stream = try await running() else { return nil }
        while let batch = try await stream.next() {
            // What a cancelled task would not read is passed over, to the end: then the engine has stopped.
            if state.with({ $0.stopped }) { continue }
            return state.with {
                $0.buffer = batch.reversed().map(InklingEvent.init)
                return $0.buffer.popLast()
            }
        }
        state.with { $0.phase = .over }
        try Task.checkCancellation()
        return nil
    }

    /// The stream, started if need be; `nil` after the end.
    private func running() async throws -> FfiStream? {
        let phase = state.with {
            let phase = $0.phase
            if case .ahead = phase { $0.phase = .starting }
            return phase
        }
        switch phase {
        case .running(let stream): return stream
        case .over: return nil
        case .starting: throw InklingError.busy(sentence: "another task began to read this answer: wait for it")
        case .ahead: return try await blocking { [self] in try start(self) }
        }
    }
}
