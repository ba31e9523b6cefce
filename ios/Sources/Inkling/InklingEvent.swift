// What an answer is made of.

internal import InklingFFI

/// Something that happened in an answer. The last one is ``finished(_:)``, unless the answer fails.
public enum InklingEvent: Sendable, Equatable {
    /// The prompt runs through the model: `done` of `total` tokens, without those that were known already.
    case prefilling(done: Int, total: Int)
    /// Tokens are generated from now on.
    case generating
    /// More of the answer; whole characters as Unicode counts them, so an emoji of several may come in parts.
    case text(String)
    /// More of the thoughts.
    case thinking(String)
    /// How likely a generated token was. Comes before its text.
    case logProbs(chosen: LogProb, top: [LogProb])
    /// The end.
    case finished(Stats)
}

/// A token and the natural logarithm of its probability.
public struct LogProb: Sendable, Equatable {
    /// The token's id.
    public let token: Int
    /// At most 0.
    public let logProb: Float
}

/// Why an answer ended.
public enum FinishReason: Sendable, Equatable {
    /// The model ended it.
    case endOfAnswer
    /// It came to this stop string.
    case stopString(String)
    /// As many tokens as were allowed were generated.
    case maxTokens
    /// It was cancelled.
    case cancelled
    /// A raw completion filled the context of `limit` tokens.
    case contextFull(limit: Int)
}

/// What an answer did and how long it took.
public struct Stats: Sendable, Equatable {
    /// Why it ended.
    public let finishReason: FinishReason
    /// Tokens of the prompt.
    public let promptTokens: Int
    /// Of these, tokens that were known from earlier answers.
    public let reusedTokens: Int
    /// Of these, tokens that ran through the model.
    public let prefilledTokens: Int
    /// Tokens of thoughts and answer, without the one that ends it.
    public let generatedTokens: Int
    /// Their ids.
    public let tokens: [Int]
    /// The seed that was used.
    public let seed: UInt64
    /// From the request to the first token; zero if there was none.
    public let timeToFirstToken: Duration
    /// From the first chunk of the prompt to the first token.
    public let prefillTime: Duration
    /// From the first token to the last.
    public let decodeTime: Duration
    /// From the request to the end.
    public let totalTime: Duration
    /// Prompt tokens a second; 0 if nothing ran.
    public let prefillTokensPerSecond: Double
    /// Generated tokens a second; 0 if there were not two.
    public let decodeTokensPerSecond: Double
}

/// A whole answer.
public struct InklingResponse: Sendable, Equatable {
    /// The answer.
    public let text: String
    /// What the model thought before it answered.
    public let thinking: String
    /// What it took.
    public let stats: Stats

    /// Why it ended.
    public var finishReason: FinishReason { stats.finishReason }
}

extension InklingEvent {
    init(_ event: FfiEvent) {
        self =
            switch event {
            case .prefilling(let done, let total):
                .prefilling(done: Int(clamping: done), total: Int(clamping: total))
            case .generating: .generating
            case .text(let delta): .text(delta)
            case .thinking(let delta): .thinking(delta)
            case .logProbs(let chosen, let top): .logProbs(chosen: LogProb(chosen), top: top.map(LogProb.init))
            case .finished(let stats): .finished(Stats(stats))
            }
    }
}

extension LogProb {
    init(_ prob: FfiLogProb) {
        self.init(token: Int(prob.token), logProb: prob.logProb)
    }
}

extension FinishReason {
    init(_ finish: FfiFinish) {
        self =
            switch finish {
            case .endOfAnswer: .endOfAnswer
            case .stopString(let text): .stopString(text)
            case .maxTokens: .maxTokens
            case .cancelled: .cancelled
            case .contextFull(let limit): .contextFull(limit: Int(clamping: limit))
            }
    }
}

extension Stats {
    init(_ stats: FfiStats) {
        self.init(
            finishReason: FinishReason(stats.finish),
            promptTokens: Int(clamping: stats.promptTokens),
            reusedTokens: Int(clamping: stats.reusedTokens),
            prefilledTokens: Int(clamping: stats.prefilledTokens),
            generatedTokens: Int(clamping: stats.generatedTokens),
            tokens: stats.tokens.map(Int.init),
            seed: stats.seed,
            timeToFirstToken: .seconds(stats.timeToFirstToken),
            prefillTime: .seconds(stats.prefillTime),
            decodeTime: .seconds(stats.decodeTime),
            totalTime: .seconds(stats.totalTime),
            prefillTokensPerSecond: stats.prefillTokensPerSecond,
            decodeTokensPerSecond: stats.decodeTokensPerSecond
        )
    }
}
