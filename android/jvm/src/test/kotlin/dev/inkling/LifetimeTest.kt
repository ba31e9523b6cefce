package dev.inkling

import java.io.File
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test

class LifetimeTest {
    /** Resident memory, after the collector has run. */
    private fun resident(): Long {
        repeat(3) {
            System.gc()
            Thread.sleep(20)
        }
        val line = File("/proc/self/status").readLines().first { it.startsWith("VmRSS:") }
        return line.filter(Char::isDigit).toLong() * 1024
    }

    @Test
    fun `turns leave nothing behind`() = runBlocking {
        assumeTrue(File("/proc/self/status").exists())
        Demo.model().use { model ->
            suspend fun turns(count: Int) = repeat(count) {
                model.session().use { session ->
                    session.respond(Demo.PROMPT, Demo.greedy)
                    session.streamResponse(Demo.PROMPT, Demo.endless).take(3).toList()
                    fails<InklingException.InvalidInput> { session.respond("\uD83E", Demo.greedy) }
                    fails<InklingException.InvalidInput> { session.respond("a", Demo.greedy.copy(topP = 7f)) }
                }
            }
            // The heap is as large as it will get from the start (pom.xml); what the virtual machine learns from the first
            // turns, it has learned then.
            turns(500)
            val grown = List(5) { resident().let { before -> turns(200).let { resident() - before } } }
            println("resident memory grew by ${grown.map { it shr 10 }} KiB in 5 x 200 turns")
            // The median, as the compiler of the virtual machine comes and goes: less than 2.6 kB a turn.
            assertTrue(grown.sorted()[2] < 512L shl 10, "$grown")
            assertEquals(0, model.memory().cacheBytes)
        }
    }

    @Test
    fun `sessions and models come and go`() = runBlocking {
        Demo.model().use { model ->
            repeat(10_000) { round ->
                model.session().use { if (round % 20 == 0) it.streamResponse(Demo.PROMPT, Demo.endless).first() }
            }
            assertEquals(0, model.memory().cacheBytes)
        }
        repeat(20) { Demo.model().close() }
    }
}
