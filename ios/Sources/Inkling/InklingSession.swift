// Conversations.

import Foundation
internal import InklingFFI

/// A message of a conversation.
public struct Message: Sendable, Hashable, Codable {
    /// `system`, `user` or `assistant`.
    public var role: String
    /// What was said.
    public var content: String

    /// A message of `role`, which is `system`, `user` or `assistant`.
    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }
}

/// A conversation. One answer runs at a time; the next one computes only what is new. Any task may use it.
///
/// What it holds in the model's cache is freed with the session.
public final class InklingSession: Sendable {
    let ffi: FfiSession
    private let turns = Turns()

    /// Begins a conversation, or goes on with one: `transcript` comes behind the `instructions`.
    ///
    /// Throws ``InklingError/unsupportedModel(what:sentence:)`` if the model cannot hold conversations.
    public init(model: InklingModel, instructions: String? = nil, transcript: [Message] = []) throws {
        ffi = try calling {
            try model.ffi.session(instructions: instructions, transcript: transcript.map(FfiMessage.init))
        }
    }

    /// Asks the model and waits for the whole answer.
    ///
    /// Throws ``InklingError/busy(sentence:)`` while another answer is on its way, and `CancellationError`, as soon as the
    /// engine has stopped, if the task is cancelled.
    public func respond(to prompt: String, options: GenerationOptions = GenerationOptions()) async throws
        -> InklingResponse
    {
        try await streamResponse(to: prompt, options: options).response()
    }

    /// Asks the model. The engine is asked when the sequence is read, each time anew; see ``InklingStream``.
    ///
    /// An answer that was cancelled stays in the ``transcript`` as far as it came; one that failed leaves no trace.
    public func streamResponse(to prompt: String, options: GenerationOptions = GenerationOptions()) -> InklingStream {
        InklingStream { [ffi, turns] answer in
            let options = try options.ffi()
            return try turns.begin(answer) { try ffi.stream(prompt: prompt, options: options) }
        }
    }

    /// Gets ready for the next message, which may be known to begin with `prefix`: what is known of it runs through the
    /// model. Returns when that is done. A message that comes meanwhile takes over.
    public func prewarm(prefix: String = "") async throws {
        let work = InklingStream { [ffi, turns] answer in try turns.begin(answer) { try ffi.prewarm(prefix: prefix) } }
        for try await _ in work {}
    }

    /// All messages so far, instructions first.
    public var transcript: [Message] {
        // It fails only by a panic of the engine, and then so does the next answer, which can say so.
        ((try? ffi.transcript()) ?? []).map { Message(role: $0.role, content: $0.content) }
    }

    /// Replaces the conversation. What both have in common at the beginning stays in the cache. Waits for an answer that
    /// was cancelled; throws ``InklingError/busy(sentence:)`` if one is on its way.
    public func setTranscript(_ transcript: [Message]) async throws {
        let messages = transcript.map(FfiMessage.init)
        try await blocking { [ffi] in try ffi.setTranscript(transcript: messages) }
    }

    /// Whether an answer is on its way that was not cancelled.
    public var isResponding: Bool {
        // As for the transcript.
        (try? ffi.isResponding()) ?? false
    }

    /// Asks the answer that is on its way to stop, as for a stop button: what was generated is still delivered, then it
    /// finishes as ``FinishReason/cancelled``. Returns at once; does nothing if there is none.
    public func cancel() {
        turns.cancel()
    }
}

/// The answers of a session, one after the other.
private final class Turns: Sendable {
    private struct State {
        weak var stream: FfiStream?
        var cancels = 0
    }

    private let state = Locked(State())
    private let starting = NSLock()

    /// Begins an answer. One that is cancelled while it begins, when there is no stream yet, is cancelled when this
    /// returns; the next one begins after that, and the engine lets it wait for the end of what was cancelled.
    func begin(_ answer: Answer, _ start: () throws -> FfiStream) throws -> FfiStream {
        try starting.withLock {
            let before = state.with { $0.cancels }
            let stream = try answer.begin(start)
            let cancelled = state.with {
                $0.stream = stream
                return $0.cancels != before
            }
            if cancelled { try stream.cancel() }
            return stream
        }
    }

    func cancel() {
        let stream = state.with {
            $0.cancels += 1
            return $0.stream
        }
        // It fails only by a panic of the engine, which the answer's next event will report.
        try? stream?.cancel()
    }
}

extension FfiMessage {
    init(_ message: Message) {
        self.init(role: message.role, content: message.content)
    }
}
