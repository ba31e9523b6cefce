// Apple's FoundationModels with an Inkling model behind it, from its version of 2026 on, which lets others bring models.
//
// NOT COMPILED YET: written from Apple's documentation and from adapters of others, and parsed, because no SDK with that
// version was at hand. Kept small for that reason: text in, text out. No tools, no guided generation, no images; what
// asks for them is refused before it comes here, because the capabilities are empty.

#if canImport(FoundationModels, _version: 2)
import Foundation
import FoundationModels

/// A loaded model for `LanguageModelSession(model:)`.
@available(iOS 27.0, macOS 27.0, *)
public struct InklingLanguageModel: LanguageModel {
    private let model: InklingModel

    /// The model as FoundationModels sees it.
    public init(_ model: InklingModel) {
        self.model = model
    }

    /// None yet: text alone.
    public var capabilities: LanguageModelCapabilities { LanguageModelCapabilities([]) }

    /// Equal for the same loaded model.
    public var executorConfiguration: Executor.Configuration { Executor.Configuration(model: model) }

    /// Answers the requests of one session, whose conversation stays in the model's cache.
    public struct Executor: LanguageModelExecutor {
        /// What it serves.
        public typealias Model = InklingLanguageModel

        /// The loaded model, by identity.
        public struct Configuration: Hashable, Sendable {
            let model: InklingModel

            /// Whether both are the same loaded model.
            public static func == (one: Self, other: Self) -> Bool { one.model === other.model }

            /// The model's identity.
            public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(model)) }
        }

        private let session: InklingSession

        /// Begins a conversation.
        public init(configuration: Configuration) throws {
            session = try InklingSession(model: configuration.model)
        }

        /// Answers the last prompt of the transcript. What the transcript has in common with the last one stays cached.
        public func respond(
            to request: LanguageModelExecutorGenerationRequest,
            model: InklingLanguageModel,
            streamingInto channel: LanguageModelExecutorGenerationChannel
        ) async throws {
            var messages = try request.transcript.compactMap(Self.message)
            guard let prompt = messages.popLast(), prompt.role == "user" else {
                throw InklingError.invalid("transcript", "its last entry is no prompt")
            }
            try await session.setTranscript(messages)
            var options = GenerationOptions()
            options.maxTokens = request.generationOptions.maximumResponseTokens
            options.temperature = request.generationOptions.temperature.map { Float($0) }
            let (answer, thoughts) = (UUID().uuidString, UUID().uuidString)
            for try await event in session.streamResponse(to: prompt.content, options: options) {
                switch event {
                case .text(let delta):
                    await channel.send(.response(entryID: answer, action: .appendText(delta, tokenCount: 1)))
                case .thinking(let delta):
                    await channel.send(.reasoning(entryID: thoughts, action: .appendText(delta, tokenCount: 1)))
                case .finished(let stats):
                    await channel.send(
                        .response(
                            entryID: answer,
                            action: .updateUsage(
                                input: .init(totalTokenCount: stats.promptTokens, cachedTokenCount: stats.reusedTokens),
                                output: .init(totalTokenCount: stats.generatedTokens, reasoningTokenCount: 0))))
                case .prefilling, .generating, .logProbs: break
                }
            }
        }

        private static func message(_ entry: Transcript.Entry) throws -> Message? {
            switch entry {
            case .instructions(let entry): try Message(role: "system", content: text(entry.segments))
            case .prompt(let entry): try Message(role: "user", content: text(entry.segments))
            case .response(let entry): try Message(role: "assistant", content: text(entry.segments))
            case .reasoning: nil
            default: throw InklingError.invalid("transcript", "it has entries that are neither prompts nor answers")
            }
        }

        private static func text(_ segments: [Transcript.Segment]) throws -> String {
            try segments.map { segment in
                guard case .text(let text) = segment else {
                    throw InklingError.invalid("transcript", "it has segments that are not text")
                }
                return text.content
            }.joined()
        }
    }
}
#endif
