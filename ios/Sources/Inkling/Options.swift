// How to load and how to generate. What is left out is as the engine thinks best; it also checks the values.

import Foundation
internal import InklingFFI

/// Where a model comes from.
public struct ModelSource: Sendable, Hashable, CustomStringConvertible {
    let path: String

    /// A GGUF file, or any part of a split one. The file is mapped, never read into the app's memory.
    public static func file(_ url: URL) -> ModelSource {
        ModelSource(path: url.path(percentEncoded: false))
    }

    /// The path of a GGUF file, or of any part of a split one.
    public static func file(_ path: String) -> ModelSource {
        ModelSource(path: path)
    }

    /// The path.
    public var description: String { path }
}

/// Where packed weights are kept, so that the next load is fast.
public enum WeightCache: Sendable, Hashable {
    /// Nowhere: they are made at every load and held in memory.
    case off
    /// Beside the model.
    case beside
    /// In this folder, which is made if need be.
    case folder(URL)
}

/// How a model is loaded. What is left out is as the engine thinks best.
public struct LoadOptions: Sendable {
    /// Tokens that one conversation may hold; at most what the model was made for.
    public var context: Int?
    /// Tokens that all conversations together may hold in the cache.
    public var cachePositions: Int?
    /// How the cache is stored: `f32`, `f16`, `q8_0` or `q4_0`.
    public var kv: String?
    /// Worker threads.
    public var threads: Int?
    /// Tokens of a prompt that run through the model at a time.
    public var batch: Int?
    /// What runs the model.
    public var backend: String
    /// Where packed weights are kept.
    public var weightCache: WeightCache
    /// Says how many bytes of memory the app can still take; called on another thread, before the model is loaded. Without
    /// it the system is asked, where it tells.
    public var availableMemory: (@Sendable () -> Int?)?

    /// The options; every one may be left out.
    public init(
        context: Int? = nil,
        cachePositions: Int? = nil,
        kv: String? = nil,
        threads: Int? = nil,
        batch: Int? = nil,
        backend: String = "cpu",
        weightCache: WeightCache = .beside,
        availableMemory: (@Sendable () -> Int?)? = nil
    ) {
        self.context = context
        self.cachePositions = cachePositions
        self.kv = kv
        self.threads = threads
        self.batch = batch
        self.backend = backend
        self.weightCache = weightCache
        self.availableMemory = availableMemory
    }
}

/// How one answer is generated. What is left out is as the engine thinks best.
public struct GenerationOptions: Sendable, Equatable {
    /// Tokens at most, thoughts included.
    public var maxTokens: Int?
    /// Strings that end the answer; they are not delivered.
    public var stop: [String]
    /// 0 takes the likeliest token, always; larger is more varied.
    public var temperature: Float?
    /// Keep the likeliest tokens; 0 keeps all.
    public var topK: Int?
    /// Keep the fewest likeliest tokens that hold this much of the mass.
    public var topP: Float?
    /// Keep tokens at least this many times as likely as the likeliest.
    public var minP: Float?
    /// Keep the locally typical tokens that hold this much of the mass.
    public var typicalP: Float?
    /// Divides the logits of tokens that occurred lately; 1 is none.
    public var repetitionPenalty: Float?
    /// Subtracted for each time that a token occurred lately.
    public var frequencyPenalty: Float?
    /// Subtracted once for a token that occurred lately.
    public var presencePenalty: Float?
    /// How many of the last tokens the three penalties look at.
    public var penaltyWindow: Int?
    /// Against repeated sequences: the penalty of the shortest; 0 is none.
    public var dryMultiplier: Float?
    /// Added to tokens' logits; minus infinity bans a token.
    public var logitBias: [Int: Float]
    /// The same seed gives the same answer to the same prompt.
    public var seed: UInt64?
    /// Report the log-probability of each token and of this many alternatives.
    public var logProbs: Int?
    /// Whether the model should think before it answers.
    public var thinking: Bool?

    /// The options; every one may be left out.
    public init(
        maxTokens: Int? = nil,
        stop: [String] = [],
        temperature: Float? = nil,
        topK: Int? = nil,
        topP: Float? = nil,
        minP: Float? = nil,
        typicalP: Float? = nil,
        repetitionPenalty: Float? = nil,
        frequencyPenalty: Float? = nil,
        presencePenalty: Float? = nil,
        penaltyWindow: Int? = nil,
        dryMultiplier: Float? = nil,
        logitBias: [Int: Float] = [:],
        seed: UInt64? = nil,
        logProbs: Int? = nil,
        thinking: Bool? = nil
    ) {
        self.maxTokens = maxTokens
        self.stop = stop
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.typicalP = typicalP
        self.repetitionPenalty = repetitionPenalty
        self.frequencyPenalty = frequencyPenalty
        self.presencePenalty = presencePenalty
        self.penaltyWindow = penaltyWindow
        self.dryMultiplier = dryMultiplier
        self.logitBias = logitBias
        self.seed = seed
        self.logProbs = logProbs
        self.thinking = thinking
    }

    /// Always the likeliest token.
    public static var greedy: GenerationOptions { GenerationOptions(temperature: 0) }
}

extension LoadOptions {
    func ffi() throws -> FfiLoadOptions {
        try FfiLoadOptions(
            context: unsigned("context", context),
            cachePositions: unsigned("cache_positions", cachePositions),
            kv: kv,
            threads: unsigned("threads", threads),
            batch: unsigned("batch", batch)
        )
    }
}

extension WeightCache {
    var ffi: FfiWeightCache {
        switch self {
        case .off: .off
        case .beside: .beside
        case .folder(let url): .folder(path: url.path(percentEncoded: false))
        }
    }
}

extension GenerationOptions {
    func ffi() throws -> FfiGenerationOptions {
        try FfiGenerationOptions(
            maxTokens: unsigned("max_tokens", maxTokens),
            stop: stop,
            temperature: temperature,
            topK: unsigned("top_k", topK),
            topP: topP,
            minP: minP,
            typicalP: typicalP,
            repetitionPenalty: repetitionPenalty,
            frequencyPenalty: frequencyPenalty,
            presencePenalty: presencePenalty,
            penaltyWindow: unsigned("penalty_window", penaltyWindow),
            dryMultiplier: dryMultiplier,
            logitBias: logitBias.map { token, amount in
                guard let id = UInt32(exactly: token) else {
                    throw InklingError.invalid("logit_bias", "\(token) is no token id")
                }
                return FfiLogitBias(token: id, amount: amount)
            },
            seed: seed,
            logProbs: unsigned("log_probs", logProbs),
            thinking: thinking
        )
    }
}
