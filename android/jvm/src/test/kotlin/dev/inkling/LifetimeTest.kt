package dev.inkling

import java.io.File
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
                }
            }
            turns(100)
            val before = resident()
            turns(200)
            val grown = resident() - before
            // The virtual machine's own heap breathes; a leak of one answer a turn would be far more.
            assertTrue(grown < 16L shl 20, "400 answers left $grown bytes")
            assertEquals(0, model.memory().cacheBytes)
        }
    }

    @Test
    fun `sessions and models come and go`() = runBlocking {
        Demo.model().use { model ->
            repeat(2_000) { model.session().close() }
            assertEquals(0, model.memory().cacheBytes)
        }
        repeat(10) { Demo.model().close() }
    }
}
