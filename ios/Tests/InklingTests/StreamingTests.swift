// Answers: their events, readers of every speed, several at a time.

import Inkling
import Testing

@Suite struct StreamingTests {
    @Test func anAnswerComesInOrderAndIsRemembered() async throws {
        let model = try await Demo.model()
        let session = try InklingSession(model: model)
        let events = try await all(session.streamResponse(to: Demo.prompt, options: .greedy))
        let stats = try #require(events.stats)
        #expect(events[0] == .prefilling(done: 0, total: stats.promptTokens))
        #expect(events[1] == .prefilling(done: stats.promptTokens, total: stats.promptTokens))
        #expect(events[2] == .generating)
        #expect(events.text == Demo.answer)
        #expect(try model.detokenize(stats.tokens) == Demo.answer)
        #expect(stats.finishReason == .endOfAnswer && stats.tokens.count == stats.generatedTokens)
        #expect(stats.totalTime >= stats.timeToFirstToken && stats.timeToFirstToken > .zero)
        let said = [Message(role: "user", content: Demo.prompt), Message(role: "assistant", content: Demo.answer)]
        #expect(session.transcript == said)
        #expect(!session.isResponding)
        let again = try await session.respond(to: Demo.prompt, options: .greedy)
        #expect(again.stats.reusedTokens > stats.promptTokens && again.finishReason == .endOfAnswer)
    }

    @Test func nothingHappensBeforeItIsReadAndEachLoopAsksAnew() async throws {
        let session = try await Demo.session()
        let answer = session.streamResponse(to: Demo.prompt, options: .greedy)
        var unread = answer.makeAsyncIterator()
        #expect(session.transcript.isEmpty && !session.isResponding)
        #expect(try await all(answer).text == Demo.answer)
        try await session.setTranscript([])
        #expect(try await all(answer).text == Demo.answer)
        try await session.setTranscript([])
        while try await unread.next() != nil {}
        #expect(try await unread.next() == nil)
        #expect(session.transcript.last?.content == Demo.answer)
    }

    @Test func twoSessionsAnswerTogetherAsTheyWouldAlone() async throws {
        let model = try await Demo.model()
        @Sendable func ask(_ prompt: String) async throws -> String {
            try await InklingSession(model: model).respond(to: prompt, options: .greedy).text
        }
        async let first = ask(Demo.prompt)
        async let second = ask("Translate to English: Je suis allergique aux noix.")
        #expect(try await [first, second] == [Demo.answer, "I am allergic to nuts."])
    }

    @Test func aSlowReaderLosesNothingAndHoldsNobodyUp() async throws {
        let model = try await Demo.model()
        var options = Demo.endless
        options.maxTokens = 300
        let quick = try await all(InklingSession(model: model).streamResponse(to: Demo.prompt, options: options))
        var slow: [InklingEvent] = []
        for try await event in try InklingSession(model: model).streamResponse(to: Demo.prompt, options: options) {
            if slow.count % 100 == 10 {
                try await Task.sleep(for: .milliseconds(50))
                // The engine rests, and answers others.
                let other = try await InklingSession(model: model).respond(to: Demo.prompt, options: .greedy)
                #expect(other.text == Demo.answer)
            }
            slow.append(event)
        }
        #expect(slow.count > 400 && slow.dropLast() == quick.dropLast())
        #expect(slow.stats?.tokens == quick.stats?.tokens)
    }

    @Test func aReaderThatNeverReadsHoldsNobodyUp() async throws {
        let model = try await Demo.model()
        let session = try InklingSession(model: model)
        var never = session.streamResponse(to: Demo.prompt, options: Demo.endless).makeAsyncIterator()
        _ = try await never.next()
        #expect(session.isResponding)
        let other = try await InklingSession(model: model).respond(to: Demo.prompt, options: .greedy)
        #expect(other.text == Demo.answer)
        await model.close()
        // What was there is still delivered, and then the reason why there is no more.
        let error = try await failure { while try await never.next() != nil {} }
        #expect(error.kind == "Cancelled")
        #expect(try await never.next() == nil)
    }

    /// The reader may live on an actor, the main one for instance.
    @MainActor @Test func anActorMayRead() async throws {
        let session = try await Demo.session()
        var text = ""
        for try await event in session.streamResponse(to: Demo.prompt, options: .greedy) {
            MainActor.assertIsolated()
            if case .text(let delta) = event { text += delta }
        }
        #expect(text == Demo.answer)
    }

    @Test func prewarmingSavesThePrefill() async throws {
        let session = try await Demo.session(instructions: String(repeating: "Translate to German: ", count: 20))
        try await session.prewarm(prefix: "Where")
        let reply = try await session.respond(to: "Where is it?", options: .greedy)
        #expect(reply.stats.reusedTokens > 20)
    }

    @Test func aConversationGoesOn() async throws {
        let model = try await Demo.model()
        let first = try InklingSession(model: model, instructions: "You translate.")
        _ = try await first.respond(to: "Translate to German: Where is the museum?", options: .greedy)
        let saved = first.transcript
        #expect(saved.map(\.role) == ["system", "user", "assistant"])
        let second = try InklingSession(model: model, transcript: saved)
        #expect(second.transcript == saved)
        let replies = try await [first, second].asyncMap {
            try await $0.respond(to: "And in French?", options: .greedy).text
        }
        #expect(replies[0] == replies[1])
    }

    @Test func rawCompletionFillsTheContext() async throws {
        let model = try await Demo.model()
        let end = try await all(model.complete("Hello", options: Demo.endless))
        #expect(end.stats?.finishReason == .contextFull(limit: model.facts.context))
        #expect(end.tokens == end.stats?.generatedTokens)
        let ids = try model.tokenize("Hello")
        for try await event in model.complete(tokens: ids) {
            #expect(event == .prefilling(done: 0, total: ids.count))
            break
        }
    }

    @Test func threadsMayChangeWhileItAnswers() async throws {
        let model = try await Demo.model()
        var text = ""
        for try await event in try InklingSession(model: model).streamResponse(to: Demo.prompt, options: .greedy) {
            if case .text(let delta) = event {
                text += delta
                try await model.setThreads(text.count % 2 + 1)
            }
        }
        #expect(text == Demo.answer)
        let memory = try await model.memory()
        #expect(memory.ownedBytes > 0)
    }
}

extension Array {
    func asyncMap<Result>(_ work: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await work(element)) }
        return results
    }
}
