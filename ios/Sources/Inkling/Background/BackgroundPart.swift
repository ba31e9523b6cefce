// A part of a model's file that the system fetches while the app sleeps or is gone, and what to make of its end.

import Foundation
internal import InklingFFI

/// One part, with all that must be known about it when nothing else is known any more: the app was ended and started
/// again. It travels in its task's description.
struct BackgroundPart: Codable, Hashable, Sendable {
    /// What the part belongs to.
    var source: String
    var options: EnsureOptions
    var id: String
    /// The digest of the file.
    var file: String
    /// Its first byte in the file, and its bytes.
    var from: Int
    var length: Int
    /// Bytes of all parts that were asked for with it.
    var asked: Int
    /// How often it failed.
    var attempt = 0

    /// What a part is, whoever asked for it and however often.
    struct Key: Hashable, Sendable {
        let file: String
        let from: Int
    }

    var key: Key { Key(file: file, from: from) }

    func overlaps(_ other: BackgroundPart) -> Bool {
        file == other.file && from < other.from + other.length && other.from < from + length
    }

    /// Tasks of others, in a session that an app uses for other things too, have other descriptions.
    private static let mark = "dev.inkling.part.1 "

    /// For the task.
    func described() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return Self.mark + String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// From the task; `nil` if it is none of ours.
    static func read(_ description: String?) -> BackgroundPart? {
        guard let description, description.hasPrefix(mark) else { return nil }
        return try? JSONDecoder().decode(Self.self, from: Data(description.dropFirst(mark.count).utf8))
    }
}

/// What a server answered.
struct PartAnswer: Sendable {
    var status: Int
    var range: String?
    var encoding: String?
    var retryAfter: String?
}

/// What to do about a part that has ended.
enum PartVerdict: Equatable, Sendable {
    /// The file holds its bytes.
    case take
    /// Once more, after so many seconds.
    case again(after: Double)
    /// The store sees to it by itself, and finds the words for what is wrong.
    case leave
    /// Nothing: somebody wanted it to end.
    case forget
}

/// How often and when a part is asked for again.
struct RetryPolicy: Sendable {
    var attempts = 6
    var firstWait = 5.0
    var longestWait = 3600.0

    /// The verdict on an answer, whose body has so many bytes.
    func verdict(_ part: BackgroundPart, _ answer: PartAnswer, bytes: Int?) -> PartVerdict {
        switch answer.status {
        case 206:
            let range = "bytes \(part.from)-\(part.from + part.length - 1)/"
            let plain = answer.encoding.map { $0.lowercased() == "identity" } ?? true
            return plain && bytes == part.length && answer.range?.hasPrefix(range) == true ? .take : .leave
        case 408, 429, 500, 502, 503, 504:
            // A date instead of seconds is not read: the wait doubles anyway.
            return again(part, asked: answer.retryAfter.flatMap { Double($0) })
        default: return .leave
        }
    }

    /// The verdict on a failure of the network.
    func verdict(_ part: BackgroundPart, _ error: any Error) -> PartVerdict {
        guard let code = (error as? URLError)?.code else { return again(part, asked: nil) }
        switch code {
        // By the app, or by a user who ended the app: who wants it asks again.
        case .cancelled: return .forget
        case .badURL, .unsupportedURL, .userAuthenticationRequired, .appTransportSecurityRequiresSecureConnection:
            return .leave
        default: return again(part, asked: nil)
        }
    }

    private func again(_ part: BackgroundPart, asked: Double?) -> PartVerdict {
        guard part.attempt + 1 < attempts else { return .leave }
        let usual = firstWait * pow(2, Double(part.attempt))
        return .again(after: min(max(usual, asked ?? 0), longestWait))
    }
}
