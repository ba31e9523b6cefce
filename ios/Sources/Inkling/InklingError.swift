// The kinds of errors, the same in every language that Inkling speaks.

import Foundation
internal import InklingFFI

/// What went wrong: a stable kind with its payload, and a sentence for people that says what to do.
///
/// The sentence is also the error's `localizedDescription`. Work in a task that is cancelled throws `CancellationError`
/// instead, as everywhere in Swift.
public enum InklingError: Error, Sendable, Equatable {
    /// No model at this place.
    case modelNotFound(what: String, sentence: String)
    /// The file is damaged or is no model file at all; `location` says where that shows.
    case modelCorrupt(location: String, sentence: String)
    /// A sound file of a kind that this engine cannot run.
    case unsupportedModel(what: String, sentence: String)
    /// The work needs more memory than there is.
    case outOfMemory(needBytes: Int, haveBytes: Int, sentence: String)
    /// The conversation or prompt does not fit into the context of `limit` tokens.
    case contextOverflow(limit: Int, used: Int, sentence: String)
    /// The back end cannot run here.
    case backendUnavailable(backend: String, reason: String, sentence: String)
    /// What the work used was closed, or the work was cancelled by other means than its task.
    case cancelled(sentence: String)
    /// What is asked for is in use: a session that answers, a store that is open elsewhere, a model that is loaded.
    case busy(sentence: String)
    /// The disk is full.
    case storageFull(needBytes: Int, haveBytes: Int, sentence: String)
    /// The network failed; `retryable` says whether trying again may help.
    case network(retryable: Bool, sentence: String)
    /// Stored bytes are not the bytes that were published; `chunk` is the first that is wrong, if that is known.
    case integrity(file: String, chunk: Int?, sentence: String)
    /// A value that the caller passed cannot be used; `why` says what would be right.
    case invalidInput(field: String, why: String, sentence: String)
    /// A defect of the engine: please send `report`.
    case `internal`(report: String, sentence: String)

    /// The whole error for people.
    public var sentence: String {
        switch self {
        case .modelNotFound(_, let sentence), .modelCorrupt(_, let sentence), .unsupportedModel(_, let sentence),
            .outOfMemory(_, _, let sentence), .contextOverflow(_, _, let sentence),
            .backendUnavailable(_, _, let sentence), .cancelled(let sentence), .busy(let sentence),
            .storageFull(_, _, let sentence), .network(_, let sentence), .integrity(_, _, let sentence),
            .invalidInput(_, _, let sentence), .internal(_, let sentence):
            sentence
        }
    }
}

extension InklingError: LocalizedError {
    /// The ``sentence``.
    public var errorDescription: String? { sentence }
}

extension InklingError: CustomStringConvertible {
    /// The ``sentence``.
    public var description: String { sentence }
}

extension InklingError {
    static func invalid(_ field: String, _ why: String) -> Self {
        .invalidInput(field: field, why: why, sentence: "\(field): \(why)")
    }

    static func defect(_ report: String) -> Self {
        .internal(report: report, sentence: "internal error, please report it: \(report)")
    }

    init(_ error: FfiError) {
        self =
            switch error {
            case .ModelNotFound(let what, let sentence): .modelNotFound(what: what, sentence: sentence)
            case .ModelCorrupt(let location, let sentence): .modelCorrupt(location: location, sentence: sentence)
            case .UnsupportedModel(let what, let sentence): .unsupportedModel(what: what, sentence: sentence)
            case .OutOfMemory(let need, let have, let sentence):
                .outOfMemory(needBytes: Int(clamping: need), haveBytes: Int(clamping: have), sentence: sentence)
            case .ContextOverflow(let limit, let used, let sentence):
                .contextOverflow(limit: Int(clamping: limit), used: Int(clamping: used), sentence: sentence)
            case .BackendUnavailable(let backend, let reason, let sentence):
                .backendUnavailable(backend: backend, reason: reason, sentence: sentence)
            case .Cancelled(let sentence): .cancelled(sentence: sentence)
            case .Busy(let sentence): .busy(sentence: sentence)
            case .StorageFull(let need, let have, let sentence):
                .storageFull(needBytes: Int(clamping: need), haveBytes: Int(clamping: have), sentence: sentence)
            case .Network(let retryable, let sentence): .network(retryable: retryable, sentence: sentence)
            case .Integrity(let file, let chunk, let sentence):
                .integrity(file: file, chunk: chunk.map { Int(clamping: $0) }, sentence: sentence)
            case .InvalidInput(let field, let why, let sentence):
                .invalidInput(field: field, why: why, sentence: sentence)
            case .Internal(let report, let sentence): .internal(report: report, sentence: sentence)
            }
    }
}

/// The error that an app sees for one of the engine.
func translated(_ error: any Error) -> any Error {
    switch error {
    case let error as FfiError: InklingError(error)
    case is InklingError, is CancellationError: error
    // What the generated code throws when the library and it do not fit together.
    default: InklingError.defect("\(error)")
    }
}
