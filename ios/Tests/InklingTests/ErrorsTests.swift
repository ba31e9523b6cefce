// Errors that need more than a line of the table (CasesTests has those), and odd input that is none.

import Foundation
import InklingFFI
import Testing

@testable import Inkling

@Suite struct ErrorsTests {
    @Test func everyKindKeepsItsPayloadAndSentence() {
        let kinds: [(FfiError, InklingError)] = [
            (.ModelNotFound(what: "a", sentence: "s"), .modelNotFound(what: "a", sentence: "s")),
            (.ModelCorrupt(location: "a", sentence: "s"), .modelCorrupt(location: "a", sentence: "s")),
            (.UnsupportedModel(what: "a", sentence: "s"), .unsupportedModel(what: "a", sentence: "s")),
            (
                .OutOfMemory(needBytes: .max, haveBytes: 3, sentence: "s"),
                .outOfMemory(needBytes: .max, haveBytes: 3, sentence: "s")
            ),
            (
                .ContextOverflow(limit: 3, used: 7, sentence: "s"),
                .contextOverflow(limit: 3, used: 7, sentence: "s")
            ),
            (
                .BackendUnavailable(backend: "a", reason: "b", sentence: "s"),
                .backendUnavailable(backend: "a", reason: "b", sentence: "s")
            ),
            (.Cancelled(sentence: "s"), .cancelled(sentence: "s")),
            (.Busy(sentence: "s"), .busy(sentence: "s")),
            (
                .StorageFull(needBytes: 7, haveBytes: 3, sentence: "s"),
                .storageFull(needBytes: 7, haveBytes: 3, sentence: "s")
            ),
            (.Network(retryable: true, sentence: "s"), .network(retryable: true, sentence: "s")),
            (.Integrity(file: "a", chunk: 7, sentence: "s"), .integrity(file: "a", chunk: 7, sentence: "s")),
            (.Integrity(file: "a", chunk: nil, sentence: "s"), .integrity(file: "a", chunk: nil, sentence: "s")),
            (.InvalidInput(field: "a", why: "b", sentence: "s"), .invalidInput(field: "a", why: "b", sentence: "s")),
            (.Internal(report: "a", sentence: "s"), .internal(report: "a", sentence: "s")),
        ]
        for (given, expected) in kinds {
            let error = InklingError(given)
            #expect(error == expected && error.localizedDescription == "s" && "\(error)" == "s")
            #expect("\(given)".hasPrefix(error.kind))
        }
        #expect(Set(kinds.map { InklingError($0.0).kind }).count == 13)
        struct Odd: Error {}
        #expect((translated(Odd()) as? InklingError)?.kind == "Internal")
        #expect(translated(CancellationError()) is CancellationError)
    }

    @Test func theAppSaysHowMuchMemoryThereIs() async throws {
        let tight = LoadOptions(weightCache: .off, availableMemory: { 1000 })
        let error = try await failure { _ = try await Demo.model(tight) }
        guard case .outOfMemory(let need, 1000, _) = error else { throw Unexpected("\(error)") }
        #expect(need > 1000)
        _ = try await Demo.model(LoadOptions(weightCache: .off, availableMemory: { nil }))
    }

    @Test func oneSessionAnswersOneMessageAtATime() async throws {
        let session = try await Demo.session()
        var first = session.streamResponse(to: Demo.prompt, options: Demo.endless).makeAsyncIterator()
        _ = try await first.next()
        #expect(try await failure { _ = try await session.respond(to: "Hello") }.kind == "Busy")
        #expect(try await failure { try await session.prewarm() }.kind == "Busy")
        #expect(try await failure { try await session.setTranscript([]) }.kind == "Busy")
        session.cancel()
        while try await first.next() != nil {}
        #expect(session.transcript.count == 2)
    }

    @Test func manyTasksAtOnceAreToldThatItIsBusy() async throws {
        let session = try await Demo.session()
        let outcomes = await withTaskGroup(of: String.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    do {
                        return try await session.respond(to: Demo.prompt, options: Demo.endless.limited(20)).text
                    } catch {
                        return (error as? InklingError)?.kind ?? "\(error)"
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let answered = outcomes.filter { $0 != "Busy" }
        #expect(!answered.isEmpty && answered.allSatisfy { $0.hasPrefix("Wo ist") || $0.count > 10 })
        #expect(session.transcript.count == 2 * answered.count)
    }

    @Test func twoReadersOfOneAnswerAreOneTooMany() async throws {
        let session = try await Demo.session()
        let reading = session.streamResponse(to: Demo.prompt, options: Demo.endless).makeAsyncIterator().reading
        @Sendable func read() async throws -> String? {
            do {
                while try await reading.answer.next() != nil {}
                return nil
            } catch let error as InklingError {
                return error.kind
            }
        }
        async let first = read()
        async let second = read()
        let outcomes = try await [first, second]
        // One reads on until the context is full, the other was refused, if it came in between.
        #expect(outcomes.contains("ContextOverflow"))
        #expect(outcomes.contains("Busy") || outcomes.contains(nil))
    }

    @Test func aModelThatIsClosedWhileItAnswersSaysSo() async throws {
        let model = try await Demo.model()
        let session = try InklingSession(model: model)
        let answer = Task { try await session.respond(to: Demo.prompt, options: Demo.endless) }
        while !session.isResponding { await Task.yield() }
        await model.close()
        await model.close()
        #expect(try await failure { _ = try await answer.value }.kind == "Cancelled")
        #expect(try await failure { _ = try await session.respond(to: "Hello") }.kind == "Cancelled")
        #expect(try await failure { _ = try await session.prewarm() }.kind == "Cancelled")
        #expect(try await failure { _ = try await model.memory() }.kind == "Cancelled")
        #expect(try await failure { try await model.setThreads(1) }.kind == "Cancelled")
        session.cancel()
        #expect(!session.isResponding)
    }

    @Test func aModelThatIsLetGoWhileItAnswersLivesAsLongAsSomebodyReads() async throws {
        var answer = try await Demo.session().streamResponse(to: Demo.prompt, options: .greedy).makeAsyncIterator()
        var text = ""
        while let event = try await answer.next() {
            if case .text(let delta) = event { text += delta }
        }
        #expect(text == Demo.answer)
    }

    @Test func numbersThatTheEngineCannotCountAreRefused() async throws {
        let model = try await Demo.model()
        func field(_ work: () async throws -> Void) async throws -> String? {
            if case .invalidInput(let field, _, _) = try await failure(work) { field } else { nil }
        }
        #expect(try await field { _ = try await all(model.complete("a", options: .init(maxTokens: -1))) } == "max_tokens")
        #expect(try await field { _ = try await all(model.complete("a", options: .init(topK: .max))) } == "top_k")
        #expect(try await field { _ = try await all(model.complete("a", options: .init(logitBias: [-1: 1]))) } == "logit_bias")
        #expect(try await field { _ = try await all(model.complete(tokens: [-1])) } == "tokens")
        #expect(try await field { _ = try model.detokenize([.max]) } == "tokens")
        #expect(try await field { try await model.setThreads(0) } == "threads")
        #expect(try await field { _ = try await Demo.model(LoadOptions(context: -1)) } == "context")
    }

    /// Strings of Swift are whole characters: half of a surrogate pair, which other languages can pass, cannot exist.
    @Test(arguments: ["a\0b", "\0", "🦑", "👩‍🚀🇩🇪", "e\u{301}", "\u{FFFD}", "<|im_end|>", "\u{10FFFF}"])
    func oddTextIsText(_ odd: String) async throws {
        let session = try await Demo.session(instructions: odd)
        let reply = try await session.respond(to: odd, options: Demo.endless.limited(4))
        #expect(reply.stats.generatedTokens == 4)
        #expect(session.transcript.prefix(2).map(\.content) == [odd, odd])
        let model = try await Demo.model()
        // Equality of bytes: Swift's own takes two spellings of é for the same.
        #expect(Array(try model.detokenize(model.tokenize(odd)).utf8) == Array(odd.utf8))
    }

    /// Tokens of a character come one by one, its text at once. Biases choose the tokens here, and the penalty for what
    /// was said chooses their order.
    @Test func anEmojiAcrossTokensComesWhole() async throws {
        let model = try await Demo.model()
        let ids = try model.tokenize("🦑")
        #expect(ids.count > 1 && Set(ids).count == ids.count)
        var options = Demo.endless.limited(ids.count)
        options.presencePenalty = 10_000
        for (place, id) in ids.enumerated() { options.logitBias[id] = Float(5_000 - 1_000 * place) }
        let events = try await all(InklingSession(model: model).streamResponse(to: Demo.prompt, options: options))
        #expect(events.stats?.tokens == ids)
        let texts = events.filter { if case .text = $0 { true } else { false } }
        #expect(texts == [.text("🦑")])
    }

    @Test func aFileCanBeLookedInto() async throws {
        let info = try await InklingModel.inspect(.file(Demo.file))
        #expect(info.architecture == "qwen3" && info.problems.isEmpty)
        #expect(info.weightBytes > 1_000_000 && info.cacheBytesPerToken > 0)
        #expect(try await failure { _ = try await InklingModel.inspect(.file("/nowhere")) }.kind == "ModelNotFound")
    }
}

extension GenerationOptions {
    func limited(_ tokens: Int) -> GenerationOptions {
        var options = self
        options.maxTokens = tokens
        return options
    }
}
