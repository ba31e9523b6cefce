// What it costs to read an answer in Swift, token by token: scripts/swift/bench.sh runs it.
//
// Twice: beside the tiny model, whose weights leave the caches to others, and beside a large one, which streams all its
// weights through them at every token, so that whoever runs after it finds nothing in them. And what the engine's own
// thread spends on waking a reader that waits, which is time that it does not decode: on the tiny model, whose tokens are
// cheap, with a reader and without one.

import Foundation
import Inkling
import InklingFFI

/// Microseconds of processor time that the threads have had whose name passes.
func spent(_ isCounted: (String) -> Bool) -> Double {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    return tasks.reduce(0) { sum, task in
        func read(_ file: String) -> String? { try? String(contentsOfFile: "/proc/self/task/\(task)/\(file)", encoding: .utf8) }
        guard let name = read("comm"), isCounted(name), let times = read("schedstat") else { return sum }
        return sum + (Double(times.split(separator: " ")[0]) ?? 0) / 1000
    }
}

func isEngine(_ thread: String) -> Bool { thread.hasPrefix("inkling") }

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

func microseconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) * 1e6 + Double(duration.components.attoseconds) * 1e-12
}

func print(_ value: Double, _ what: String) {
    print("swift: \(String(repeating: " ", count: max(0, 7 - "\(Int(value))".count)))\((value * 10).rounded() / 10) us \(what)")
}

func measure(_ model: InklingModel, _ options: GenerationOptions, rounds: Int) async throws
    -> (step: Double, reader: Double, first: Double)
{
    let prompt = try model.tokenize("The quick brown fox jumps over the lazy dog.")
    var (steps, readers, firsts): ([Double], [Double], [Double]) = ([], [], [])
    for _ in 0..<rounds {
        var (before, isFirst) = (0.0, true)
        let asked = ContinuousClock.now
        for try await event in model.complete(tokens: prompt, options: options) {
            if isFirst { firsts.append(microseconds(asked.duration(to: .now))) }
            isFirst = false
            if event == .generating { before = spent { !isEngine($0) } }
            if case .finished(let stats) = event {
                readers.append((spent { !isEngine($0) } - before) / Double(stats.generatedTokens))
                steps.append(microseconds(stats.decodeTime) / Double(stats.generatedTokens - 1))
            }
        }
    }
    return (median(steps), median(readers), median(firsts))
}

/// What the engine's thread spends on each batch that it must wake a reader for.
func wake(_ path: String) async throws -> Double {
    let engine = try FfiEngine(config: FfiEngineConfig(backend: "cpu", weightCache: .off), signals: FfiSignals())
    // One thread: the engine's own does all the work.
    let model = try await engine.load(path: path, options: FfiLoadOptions(threads: 1), progress: nil).finish()
    // Fewer than 64 events, so that the engine never waits for a reader.
    let endless = [FfiLogitBias(token: 4095, amount: -.infinity)]
    let options = FfiGenerationOptions(maxTokens: 40, temperature: 0, logitBias: endless)
    var (alone, read, batches): ([Double], [Double], [Double]) = ([], [], [])
    for round in 0..<100 {
        let reading = round % 2 == 0
        let stream = try model.complete(prompt: .text(text: "Hello"), options: options)
        let before = spent(isEngine)
        // Without a reader: as long as the answer takes, many times over.
        if !reading { try await Task.sleep(for: .milliseconds(30)) }
        var count = 0.0
        while try await stream.next() != nil { count += 1 }
        if reading { batches.append(count) }
        reading ? read.append(spent(isEngine) - before) : alone.append(spent(isEngine) - before)
    }
    return (median(read) - median(alone)) / median(batches)
}

let (file, tiny) = (CommandLine.arguments[1], CommandLine.arguments[2])
let demo = try await InklingModel.load(.file(tiny), options: LoadOptions(weightCache: .off))
let endless = GenerationOptions(maxTokens: 200, temperature: 0, logitBias: [4095: -.infinity])
_ = try await measure(demo, endless, rounds: 5)
let warm = try await measure(demo, endless, rounds: 15)
await demo.close()
let waking = try await wake(tiny)
let large = try await InklingModel.load(.file(file))
let cold = try await measure(large, GenerationOptions(maxTokens: 64, temperature: 0), rounds: 8)

func share(_ value: Double) -> String { "\((value / cold.step * 1e4).rounded() / 100) % of a step of \((cold.step / 10).rounded() / 100) ms" }
print(warm.reader, "of CPU a token to read, caches warm: \(share(warm.reader))")
print(cold.reader, "of CPU a token to read, after a step: \(share(cold.reader))")
print(waking, "of the engine's thread to wake a reader: \(share(waking))")
print(cold.first, "from asking to the first event")
