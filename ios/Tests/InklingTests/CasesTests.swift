// The table that every language runs: bindings/cases/cases.json. bindings/uniffi/tests/cases.rs says how to read it.

import Foundation
import Inkling
import Testing

/// A number that may be "nan".
struct Amount: Decodable, Sendable {
    let value: Float

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        value = try (try? container.decode(String.self)) == "nan" ? .nan : container.decode(Float.self)
    }
}

/// A token and what is added to its logit; `null` bans it, because JSON has no infinity.
struct Bias: Decodable, Sendable {
    let token: Int
    let amount: Float

    init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        token = try container.decode(Int.self)
        amount = try container.decodeNil() ? -.infinity : container.decode(Float.self)
    }
}

struct Table: Decodable, Sendable {
    struct Tokens: Decodable, Sendable, CustomTestStringConvertible {
        let text: String
        let ids: [Int]
        var testDescription: String { text }
    }

    struct Options: Decodable, Sendable {
        var max_tokens: Int?
        var stop: [String]?
        var temperature: Amount?
        var top_k: Int?
        var top_p: Amount?
        var min_p: Amount?
        var seed: UInt64?
        var log_probs: Int?
        var logit_bias: [Bias]?

        var generation: GenerationOptions {
            GenerationOptions(
                maxTokens: max_tokens,
                stop: stop ?? [],
                temperature: temperature?.value,
                topK: top_k,
                topP: top_p?.value,
                minP: min_p?.value,
                logitBias: Dictionary(uniqueKeysWithValues: (logit_bias ?? []).map { ($0.token, $0.amount) }),
                seed: seed,
                logProbs: log_probs
            )
        }
    }

    struct Turn: Decodable, Sendable {
        let prompt: String
        let options: Options?
        let text: String
        let tokens: [Int]
        let prompt_tokens: Int
        let reused_tokens: Int
        let events: [String]
    }

    struct Answer: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let instructions: String?
        let turns: [Turn]
        var testDescription: String { name }
    }

    struct Loading: Decodable, Sendable {
        var context: Int?
        var threads: Int?
        var batch: Int?
        var kv: String?
        var cache_positions: Int?

        var options: LoadOptions {
            LoadOptions(
                context: context, cachePositions: cache_positions, kv: kv, threads: threads, batch: batch,
                weightCache: .off)
        }
    }

    /// The fields that differ from kind to kind are compared as they are written.
    struct Failure: Decodable, Sendable, Equatable {
        var kind: String
        var field: String?
        var backend: String?
        var limit: Int?
        var used: Int?

        init(_ error: InklingError) {
            kind = error.kind
            switch error {
            case .invalidInput(let name, _, _): field = name
            case .backendUnavailable(let name, _, _): backend = name
            case .contextOverflow(let most, let all, _): (limit, used) = (most, all)
            default: break
            }
        }
    }

    struct Attempt: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `do`: String
        let path: String?
        let bytes: String?
        let backend: String?
        let load: Loading?
        let prompt: String?
        let `repeat`: Int?
        let ids: [Int]?
        let threads: Int?
        let options: Options?
        let error: Failure
        var testDescription: String { name }
    }

    let tokens: [Tokens]
    let answers: [Answer]
    let errors: [Attempt]

    static let shared: Table = {
        do {
            let bytes = try Data(contentsOf: Demo.root.appending(path: "bindings/cases/cases.json"))
            return try JSONDecoder().decode(Table.self, from: bytes)
        } catch {
            fatalError("the table of cases cannot be read: \(error)")
        }
    }()
}

@Suite struct CasesTests {
    @Test(arguments: Table.shared.tokens)
    func tokens(_ row: Table.Tokens) async throws {
        let model = try await Demo.model()
        #expect(try model.tokenize(row.text) == row.ids)
        #expect(try model.detokenize(row.ids) == row.text)
    }

    @Test(arguments: Table.shared.answers)
    func answer(_ row: Table.Answer) async throws {
        let session = try await Demo.session(instructions: row.instructions)
        for turn in row.turns {
            let options = turn.options?.generation ?? GenerationOptions()
            let events = try await all(session.streamResponse(to: turn.prompt, options: options))
            let stats = try #require(events.stats)
            #expect(events.map(said) == turn.events)
            #expect(stats.tokens == turn.tokens)
            #expect(events.text == turn.text && session.transcript.last?.content == turn.text)
            #expect(stats.promptTokens == turn.prompt_tokens && stats.reusedTokens == turn.reused_tokens)
        }
    }

    @Test(arguments: Table.shared.errors)
    func error(_ row: Table.Attempt) async throws {
        let error = try await failure { try await attempt(row) }
        #expect(Table.Failure(error) == row.error)
    }

    private func said(_ event: InklingEvent) -> String {
        switch event {
        case .prefilling(let done, let total): "prefilling \(done)/\(total)"
        case .generating: "generating"
        case .text(let delta): "text \(delta)"
        case .thinking(let delta): "thinking \(delta)"
        case .logProbs(let chosen, let top): "log_probs \(chosen.token) of \(top.count)"
        case .finished(let stats):
            switch stats.finishReason {
            case .endOfAnswer: "finished end_of_answer"
            case .stopString(let text): "finished stop_string \(text)"
            case .maxTokens: "finished max_tokens"
            case .cancelled: "finished cancelled"
            case .contextFull(let limit): "finished context_full \(limit)"
            }
        }
    }

    private func attempt(_ row: Table.Attempt) async throws {
        var source = ModelSource.file(Demo.file)
        if let path = row.path { source = .file("\(Demo.root.path)/\(path)") }
        if let hex = row.bytes {
            let digits = Array(hex)
            let bytes = stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
            let file = FileManager.default.temporaryDirectory.appending(path: "case-\(UUID()).gguf")
            try Data(bytes).write(to: file)
            source = .file(file)
        }
        switch row.do {
        case "engine":
            let options = LoadOptions(backend: row.backend ?? "", weightCache: .off)
            await (try InklingModel.load(source, options: options)).close()
            return
        case "inspect":
            _ = try await InklingModel.inspect(source)
            return
        default: break
        }
        let model = try await InklingModel.load(source, options: row.load?.options ?? LoadOptions(weightCache: .off))
        let options = row.options?.generation ?? GenerationOptions()
        switch row.do {
        case "load": break
        case "threads": try await model.setThreads(row.threads ?? 0)
        case "detokenize": _ = try model.detokenize(row.ids ?? [])
        case "respond":
            let prompt = String(repeating: row.prompt ?? "", count: row.repeat ?? 1)
            _ = try await InklingSession(model: model).respond(to: prompt, options: options)
        case "complete":
            if let prompt = row.prompt {
                _ = try await all(model.complete(prompt, options: options))
            } else {
                _ = try await all(model.complete(tokens: row.ids ?? [], options: options))
            }
        default: throw Unexpected("a case cannot do \(row.do)")
        }
    }
}
