// Stopping: by the task, by a button, by leaving the loop; before, between and after.

import Foundation
import InklingFFI
import Testing

@testable import Inkling

@Suite struct CancellationTests {
    /// Everything that was computed when `cancel` returned is in the next batch; what comes later was computed after. So
    /// this looks below the public surface, where batches still show.
    @Test func theEngineStopsWithinOneToken() async throws {
        let session = try await Demo.session()
        func tokens(_ batch: [FfiEvent]) -> Int { batch.map(InklingEvent.init).tokens }
        for round in 0..<20 {
            try await session.setTranscript([])
            let stream = try session.ffi.stream(prompt: Demo.prompt, options: Demo.endless.ffi())
            var before = 0
            while before <= round { before += tokens(try #require(try await stream.next())) }
            try stream.cancel()
            try stream.cancel()
            var rest: [[FfiEvent]] = []
            while let batch = try await stream.next() { rest.append(batch) }
            let late = rest.dropFirst().map(tokens).reduce(0, +)
            #expect(late <= 1, "\(late) tokens after the cancel")
            let stats = try #require(rest.last.map { $0.map(InklingEvent.init) }?.stats)
            #expect(stats.finishReason == .cancelled)
            #expect(stats.generatedTokens == before + rest.map(tokens).reduce(0, +))
        }
    }

    @Test func cancellingTheTaskStopsTheEngineAndThrows() async throws {
        let model = try await Demo.model()
        let session = try InklingSession(model: model)
        for round in 0..<20 {
            try await session.setTranscript([])
            let task = Task {
                var events: [InklingEvent] = []
                for try await event in session.streamResponse(to: Demo.prompt, options: Demo.endless) {
                    events.append(event)
                    if events.tokens > round { withUnsafeCurrentTask { $0?.cancel() } }
                }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            // When the task has ended, so has the answer: an endless one, which is there as far as it came. 64 events wait
            // for a reader at most, and two belong to a token.
            #expect(!session.isResponding && session.transcript.count == 2)
            let said = try model.tokenize(try #require(session.transcript.last).content)
            #expect(said.count < round + 80)
        }
        #expect(try await session.respond(to: "Thanks", options: .greedy).finishReason == .endOfAnswer)
    }

    @Test func cancellingTheTaskFromOutside() async throws {
        let session = try await Demo.session()
        for round in 0..<20 {
            try await session.setTranscript([])
            let task = Task { try await session.respond(to: Demo.prompt, options: Demo.endless) }
            while round > 0 && !session.isResponding { await Task.yield() }
            for _ in 0..<round * round { await Task.yield() }
            task.cancel()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(!session.isResponding)
        }
    }

    @Test func aCancelledTaskAsksNothing() async throws {
        let session = try await Demo.session()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await session.respond(to: Demo.prompt, options: .greedy)
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(session.transcript.isEmpty)
        let load = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await InklingModel.load(.file("/nowhere"))
        }
        await #expect(throws: CancellationError.self) { try await load.value }
    }

    @Test func aStopButtonKeepsWhatWasSaid() async throws {
        let session = try await Demo.session()
        session.cancel()
        var events: [InklingEvent] = []
        for try await event in session.streamResponse(to: Demo.prompt, options: Demo.endless) {
            events.append(event)
            if case .text = event {
                session.cancel()
                session.cancel()
            }
        }
        let stats = try #require(events.stats)
        #expect(stats.finishReason == .cancelled && stats.generatedTokens == events.tokens)
        #expect(session.transcript.last?.content == events.text)
        session.cancel()
        #expect(try await session.respond(to: "Thanks", options: .greedy).finishReason == .endOfAnswer)
    }

    @Test func cancelBeforeTheFirstToken() async throws {
        // A step for each token of the prompt, and fewer of them wait for a reader than there are.
        let model = try await Demo.model(LoadOptions(batch: 1, weightCache: .off))
        let session = try InklingSession(model: model)
        var events: [InklingEvent] = []
        for try await event in session.streamResponse(to: String(repeating: "Hello. ", count: 200), options: .greedy) {
            if events.isEmpty { session.cancel() }
            events.append(event)
        }
        let stats = try #require(events.stats)
        #expect(stats.finishReason == .cancelled && stats.generatedTokens == 0)
    }

    /// Nobody waits here for the end of what was cancelled.
    @Test func aCancelledTaskDoesNotKeepItsSessionBusy() async throws {
        let session = try await Demo.session()
        for round in 0..<100 {
            let task = Task { try await session.respond(to: Demo.prompt, options: Demo.endless) }
            for _ in 0..<round { await Task.yield() }
            task.cancel()
            let next = try await session.respond(to: "Thanks", options: Demo.endless.limited(2))
            #expect(next.stats.generatedTokens == 2)
            try await session.setTranscript([])
        }
    }

    /// A button pressed while the answer begins, when there is nothing to stop yet.
    @Test func aStopButtonIsNeverTooEarly() async throws {
        let session = try await Demo.session()
        for _ in 0..<50 {
            try await session.setTranscript([])
            async let reply = session.respond(to: Demo.prompt, options: Demo.endless)
            while !session.isResponding { await Task.yield() }
            session.cancel()
            #expect(try await reply.finishReason == .cancelled)
        }
    }

    /// The next message need not wait for whoever does not read what was cancelled.
    @Test func aCancelledAnswerThatNobodyReadsIsInNobodysWay() async throws {
        let session = try await Demo.session()
        var never = session.streamResponse(to: Demo.prompt, options: Demo.endless).makeAsyncIterator()
        _ = try await never.next()
        session.cancel()
        #expect(!session.isResponding)
        #expect(try await session.respond(to: "Thanks", options: .greedy).finishReason == .endOfAnswer)
        var rest: [InklingEvent] = []
        while let event = try await never.next() { rest.append(event) }
        #expect(rest.stats?.finishReason == .cancelled)
    }

    @Test func leavingTheLoopStopsTheEngine() async throws {
        let model = try await Demo.model()
        let session = try InklingSession(model: model)
        for _ in 0..<20 {
            try await session.setTranscript([])
            var count = 0
            for try await _ in session.streamResponse(to: Demo.prompt, options: Demo.endless) {
                count += 1
                if count == 5 { break }
            }
            #expect(!session.isResponding)
        }
        // Waits for the end of the last one.
        try await session.setTranscript([])
        #expect(try await session.respond(to: Demo.prompt, options: .greedy).text == Demo.answer)
    }

    @Test func aLoadEndsWithItsTask() async throws {
        let told = Locked<[Double]>([])
        let model = try await InklingModel.load(.file(Demo.file), options: LoadOptions(weightCache: .off)) { part in
            told.with { $0.append(part) }
        }
        await model.close()
        let parts = told.with { $0 }
        #expect(parts == parts.sorted() && parts.last == 1)

        for step in 0..<parts.count {
            let heard = Locked(0)
            let cancel = Locked<(@Sendable () -> Void)?>(nil)
            let task = Task {
                try await InklingModel.load(.file(Demo.file), options: LoadOptions(weightCache: .off)) { _ in
                    let now = heard.with { count in
                        count += 1
                        return count > step
                    }
                    // The task may have begun before it could be named.
                    while now {
                        if let cancel = cancel.with({ $0 }) { return cancel() }
                    }
                }
            }
            cancel.with { $0 = { task.cancel() } }
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }
}
