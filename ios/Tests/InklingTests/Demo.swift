// What the tests share: the tiny model of the command line.

import Foundation
import Inkling
import Testing

enum Demo {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized
    static let file = root.appending(path: "core/cli/assets/inkling-demo.gguf")
    static let prompt = "Translate to German: Where is the train station?"
    static let answer = "Wo ist der Bahnhof?"
    /// The token that ends its answers.
    static let end = 4095

    /// An answer that never ends by itself, with one event for each token.
    static var endless: GenerationOptions {
        GenerationOptions(temperature: 0, logitBias: [end: -.infinity], logProbs: 0)
    }

    static func model(_ options: LoadOptions = LoadOptions(weightCache: .off)) async throws -> InklingModel {
        try await InklingModel.load(.file(file), options: options)
    }

    /// A new conversation with a model of its own.
    static func session(instructions: String? = nil) async throws -> InklingSession {
        try await InklingSession(model: model(), instructions: instructions)
    }
}

/// Reads to the end.
func all(_ stream: InklingStream) async throws -> [InklingEvent] {
    var events: [InklingEvent] = []
    for try await event in stream { events.append(event) }
    return events
}

extension [InklingEvent] {
    var text: String {
        compactMap { if case .text(let delta) = $0 { delta } else { nil } }.joined()
    }

    /// How many tokens were reported; the options must ask for log-probabilities.
    var tokens: Int {
        filter { if case .logProbs = $0 { true } else { false } }.count
    }

    /// What it took, if it came to an end.
    var stats: Stats? {
        if case .finished(let stats)? = last { stats } else { nil }
    }
}

/// The error of the engine that `work` ends with.
func failure(_ work: () async throws -> Void) async throws -> InklingError {
    do {
        try await work()
    } catch let error as InklingError {
        #expect(!error.localizedDescription.isEmpty && error.localizedDescription == error.sentence)
        return error
    }
    throw Unexpected("it did not fail")
}

struct Unexpected: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension InklingError {
    /// The kind, as every language names it.
    var kind: String {
        switch self {
        case .modelNotFound: "ModelNotFound"
        case .modelCorrupt: "ModelCorrupt"
        case .unsupportedModel: "UnsupportedModel"
        case .outOfMemory: "OutOfMemory"
        case .contextOverflow: "ContextOverflow"
        case .backendUnavailable: "BackendUnavailable"
        case .cancelled: "Cancelled"
        case .busy: "Busy"
        case .storageFull: "StorageFull"
        case .network: "Network"
        case .integrity: "Integrity"
        case .invalidInput: "InvalidInput"
        case .internal: "Internal"
        }
    }
}
