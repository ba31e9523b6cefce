// Loaded models, and what can be known of a file before it is loaded.

internal import InklingFFI

/// What a file holds, without loading it.
public struct ModelInfo: Sendable, Equatable {
    /// The architecture, if the file names one.
    public let architecture: String?
    /// The name, if the file has one.
    public let name: String?
    /// Weights, counted one by one.
    public let parameters: Int
    /// Bytes of the weights.
    public let weightBytes: Int
    /// Tokens that the model was made for, if the file says so.
    public let context: Int?
    /// Bytes that one token of a conversation takes in the cache; 0 if the model cannot run.
    public let cacheBytesPerToken: Int
    /// Everything that keeps it from being used, in words; empty if it can be loaded.
    public let problems: [String]
}

/// What does not change while a model is loaded.
public struct ModelFacts: Sendable, Equatable {
    /// The architecture, as the file names it.
    public let architecture: String
    /// Tokens that it knows.
    public let vocabulary: Int
    /// Tokens that a conversation may hold.
    public let context: Int
    /// Whether it was taught to think before it answers.
    public let canThink: Bool
    /// Why it cannot hold conversations, if so; raw completion it always can.
    public let chatProblem: String?
    /// What cost something during the load, and will again.
    public let warnings: [String]
}

/// Bytes that a model uses.
public struct MemoryUse: Sendable, Equatable {
    /// Weights in mapped files: the system may drop and read them again.
    public let mappedBytes: Int
    /// Memory that the system cannot take back, without the cache.
    public let ownedBytes: Int
    /// Keys and values of conversations.
    public let cacheBytes: Int
}

/// A loaded model. Any task may use it.
///
/// Its memory is free when the model, its sessions and its answers are gone, or after ``close()``.
public final class InklingModel: Sendable {
    let ffi: FfiModel

    /// What does not change while it is loaded.
    public let facts: ModelFacts

    /// Where it comes from, if a store lent it: also what was given up on the way.
    public let origin: ModelOrigin?

    private init(_ ffi: FfiModel) throws {
        self.ffi = ffi
        facts = try ModelFacts(ffi.facts())
        origin = try ffi.origin().map(ModelOrigin.init)
    }

    /// Loads a model. Cancelling the task stops the load.
    ///
    /// `onProgress` hears the part done, 0 to 1, on a thread of the engine, which waits for it.
    public static func load(
        _ source: ModelSource,
        options: LoadOptions = LoadOptions(),
        onProgress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> InklingModel {
        let given = try options.ffi()
        return try await loading {
            try Engine.make(options).load(
                path: source.path, options: given, progress: onProgress.map(Progress.init))
        }
    }

    /// Loads an installed model of a store. While it is loaded its files stay, whatever happens to the store. Cancelling
    /// the task stops the load.
    ///
    /// A release that is damaged or no good is given up for the one before it; after the last one, the `alternatives` may
    /// take its place, the best first. ``origin`` says which model it is, and what was given up.
    ///
    /// `onProgress` hears the part done, 0 to 1, on a thread of the engine, which waits for it. Packed weights are kept in
    /// the store, whatever the options say of them.
    public static func load(
        from store: InklingStore,
        id: String,
        alternatives: [String] = [],
        options: LoadOptions = LoadOptions(),
        onProgress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> InklingModel {
        let given = try options.ffi()
        return try await loading {
            try store.with { ffi in
                try ffi.load(
                    engine: Engine.make(options), id: id, alternatives: alternatives, options: given,
                    progress: onProgress.map(Progress.init))
            }
        }
    }

    private static func loading(_ begin: @escaping @Sendable () throws -> FfiLoad) async throws -> InklingModel {
        try Task.checkCancellation()
        let load = try await blocking(begin)
        return try await withTaskCancellationHandler {
            let model = try await waiting { try await load.finish() }
            // It may have been ready a moment before it was cancelled.
            try Task.checkCancellation()
            return try calling { try InklingModel(model) }
        } onCancel: {
            // It fails only by a panic of the engine, which `finish` will report.
            try? load.cancel()
        }
    }

    /// Looks into a file without loading it. One that is damaged is an error, one that is unsupported is described.
    public static func inspect(_ source: ModelSource) async throws -> ModelInfo {
        try await blocking { try ModelInfo(Engine.make(LoadOptions()).inspect(path: source.path)) }
    }

    /// Continues a text without a template. The engine is asked when the sequence is read.
    public func complete(_ text: String, options: GenerationOptions = GenerationOptions()) -> InklingStream {
        complete(options) { .text(text: text) }
    }

    /// Continues token ids, taken as they are. The engine is asked when the sequence is read.
    public func complete(tokens: [Int], options: GenerationOptions = GenerationOptions()) -> InklingStream {
        complete(options) { .tokens(ids: try unsigned(tokens: tokens)) }
    }

    private func complete(
        _ options: GenerationOptions, prompt: @escaping @Sendable () throws -> FfiPrompt
    ) -> InklingStream {
        InklingStream { [ffi] answer in
            try answer.begin { try ffi.complete(prompt: prompt(), options: options.ffi()) }
        }
    }

    /// The token ids of a text. What looks like a control token in it stays text.
    public func tokenize(_ text: String) throws -> [Int] {
        try calling { try ffi.tokenize(text: text).map(Int.init) }
    }

    /// The text of token ids, without control tokens.
    public func detokenize(_ tokens: [Int]) throws -> String {
        let ids = try unsigned(tokens: tokens)
        return try calling { try ffi.detokenize(ids: ids) }
    }

    /// Bytes that it uses now. Waits for the step that runs.
    public func memory() async throws -> MemoryUse {
        try await blocking { [ffi] in try MemoryUse(ffi.memory()) }
    }

    /// Changes the number of worker threads from the next token on. Answers do not change.
    public func setThreads(_ threads: Int) async throws {
        guard threads > 0, let count = UInt32(exactly: threads) else {
            throw InklingError.invalid("threads", "\(threads) is not possible: give a number of at least 1")
        }
        try await blocking { [ffi] in try ffi.setThreads(threads: count) }
    }

    /// Ends answers that are on their way (with ``InklingError/cancelled(sentence:)``) and frees the memory before it
    /// returns: one token, or one chunk of a prompt. Later calls of anything that belongs to the model throw that error
    /// too. Closing twice is harmless.
    public func close() async {
        // It fails only by a panic of the engine, and there is nothing that could be done about the model then.
        try? await blocking { [ffi] in try ffi.shutDown() }
    }
}

/// Engines are cheap: every load makes one.
enum Engine {
    static func make(_ options: LoadOptions) throws -> FfiEngine {
        let config = FfiEngineConfig(backend: options.backend, weightCache: options.weightCache.ffi)
        return try FfiEngine(config: config, signals: .device(availableMemory: options.availableMemory))
    }
}

final class Progress: FfiProgress {
    private let tell: @Sendable (Double) -> Void

    init(_ tell: @escaping @Sendable (Double) -> Void) {
        self.tell = tell
    }

    func loaded(fraction: Float) {
        tell(Double(fraction))
    }
}

extension ModelInfo {
    init(_ info: FfiModelInfo) {
        self.init(
            architecture: info.architecture,
            name: info.name,
            parameters: Int(clamping: info.parameters),
            weightBytes: Int(clamping: info.weightBytes),
            context: info.context.map { Int(clamping: $0) },
            cacheBytesPerToken: Int(clamping: info.cacheBytesPerToken),
            problems: info.problems
        )
    }
}

extension ModelFacts {
    init(_ facts: FfiModelFacts) {
        self.init(
            architecture: facts.architecture,
            vocabulary: Int(clamping: facts.vocabulary),
            context: Int(clamping: facts.context),
            canThink: facts.canThink,
            chatProblem: facts.chatProblem,
            warnings: facts.warnings
        )
    }
}

extension MemoryUse {
    init(_ memory: FfiMemoryUse) {
        self.init(
            mappedBytes: Int(clamping: memory.mappedBytes),
            ownedBytes: Int(clamping: memory.ownedBytes),
            cacheBytes: Int(clamping: memory.cacheBytes)
        )
    }
}
