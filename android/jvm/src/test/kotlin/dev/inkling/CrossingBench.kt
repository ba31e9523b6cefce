package dev.inkling

import java.io.File
import java.lang.management.ManagementFactory
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Test

/**
 * What it costs to read an answer in Kotlin, token by token: run by `scripts/bench-bindings.sh kotlin`, no part of the
 * tests (its name does not end in Test).
 */
class CrossingBench {
    private val cpu = ManagementFactory.getThreadMXBean()

    @Test
    fun measure() = runBlocking {
        // What is called often enough is compiled: by the virtual machine here, ahead of time on a phone.
        Demo.model().use { demo ->
            val endless = Demo.endless.copy(maxTokens = 500, logProbs = null)
            repeat(WARM_UP) { demo.complete(listOf(1, 2, 3), endless).collect {} }
        }
        val model = InklingModel.load(ModelSource.file(File(System.getProperty("bench.model"))))
        val options = Demo.greedy.copy(maxTokens = 64)
        val prompt = model.tokenize("The quick brown fox jumps over the lazy dog. ".repeat(2))
        val steps = mutableListOf<Double>()
        val costs = mutableListOf<Double>()
        val firsts = mutableListOf<Double>()
        repeat(ROUNDS + 1) { round ->
            var before = 0L
            lateinit var stats: Stats
            // The reader is this thread, which does nothing else; what it takes from the first token on is the crossing.
            model.complete(prompt, options).collect { event ->
                if (event is InklingEvent.Generating) before = cpu.currentThreadCpuTime
                if (event is InklingEvent.Finished) stats = event.stats
            }
            val spent = (cpu.currentThreadCpuTime - before) / 1e3
            val asked = System.nanoTime()
            model.complete(prompt, options).first()
            val first = (System.nanoTime() - asked) / 1e3
            if (round > 0) {
                steps += stats.decodeTime.toNanos() / 1e3 / (stats.generatedTokens - 1)
                costs += spent / stats.generatedTokens
                firsts += first
            }
        }
        val (step, cost, first) = listOf(steps, costs, firsts).map { it.sorted()[it.size / 2] }
        println("kotlin: a token takes the engine %.0f us and its reader %.1f us of CPU: %.2f %%".format(step, cost, 100 * cost / step))
        println("kotlin: %.0f us from asking to the first event".format(first))
        println("kotlin: medians of $ROUNDS answers of 64 tokens, the virtual machine warm")
        model.close()
    }

    private companion object {
        const val ROUNDS = 9
        const val WARM_UP = 60
    }
}
