package dev.inkling

import java.io.File
import java.lang.management.ManagementFactory
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Test

/**
 * What it costs to read an answer in Kotlin, token by token: run by `scripts/bench-bindings.sh kotlin`, no part of the
 * tests (its name does not end in Test).
 *
 * Twice: beside the tiny model, whose weights leave the caches to others, and beside a large one, which streams all its
 * weights through them at every token, so that whoever runs after it finds nothing in them.
 */
class CrossingBench {
    private val cpu = ManagementFactory.getThreadMXBean()

    /** Of all threads of Java, in microseconds; the engine's are not among them. */
    private fun spent() = cpu.allThreadIds.sumOf { cpu.getThreadCpuTime(it).coerceAtLeast(0) } / 1e3

    private class Measured {
        val steps = mutableListOf<Double>()
        val readers = mutableListOf<Double>()
        val firsts = mutableListOf<Double>()

        fun median(values: List<Double>) = values.sorted()[values.size / 2]
        val step get() = median(steps)
        val reader get() = median(readers)
        val first get() = median(firsts)
    }

    private suspend fun measure(model: InklingModel, options: GenerationOptions, rounds: Int) = Measured().apply {
        val prompt = model.tokenize("The quick brown fox jumps over the lazy dog.")
        repeat(rounds) {
            var before = 0.0
            var first = 0.0
            lateinit var stats: Stats
            val asked = System.nanoTime()
            model.complete(prompt, options).collect { event ->
                if (first == 0.0) first = (System.nanoTime() - asked) / 1e3
                if (event is InklingEvent.Generating) before = spent()
                if (event is InklingEvent.Finished) stats = event.stats
            }
            readers += (spent() - before) / stats.generatedTokens
            steps += stats.decodeTime.toNanos() / 1e3 / (stats.generatedTokens - 1)
            firsts += first
        }
    }

    @Test
    fun measure() = runBlocking {
        val warm = Demo.model().use { demo ->
            // What is called often enough is compiled: by the virtual machine here, ahead of time on a phone.
            repeat(60) { demo.complete(listOf(1, 2, 3), Demo.endless.copy(maxTokens = 500)).collect {} }
            measure(demo, Demo.endless.copy(maxTokens = 200, logProbs = null), 15)
        }
        val cold = InklingModel.load(ModelSource.file(File(System.getProperty("bench.model")))).use {
            measure(it, Demo.greedy.copy(maxTokens = 64), 10)
        }
        fun line(what: String, us: Double) =
            println("kotlin: %6.1f us of CPU a token %s: %.2f %% of a step of %.2f ms".format(us, what, us / cold.step * 100, cold.step / 1e3))
        line("to read, caches warm", warm.reader)
        line("to read, after a step ", cold.reader)
        println("kotlin: %6.1f us from asking to the first event".format(cold.first))
    }
}
