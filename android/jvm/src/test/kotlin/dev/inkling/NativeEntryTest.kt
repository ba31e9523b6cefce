package dev.inkling

import java.io.File
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Android's way in, as far as a plain JVM goes: the library loaded by the virtual machine itself. */
class NativeEntryTest {
    @Test
    fun `the first application context is kept, and engine threads stay attached`() = runBlocking {
        System.load(System.getProperty("inkling.library"))
        assertEquals(null, NativeEntry.attach(null))
        assertEquals("java.io.File", NativeEntry.attach(File("application")))
        assertEquals("java.io.File", NativeEntry.attach("another"))
        // Slow enough that its reader has to be woken, by a thread of the engine.
        Demo.model(LoadOptions(backend = "reference")).use { model ->
            model.session().use { assertEquals(Demo.ANSWER, it.respond(Demo.PROMPT, Demo.greedy).text) }
            // Attached, a thread of the engine is among Java's; JNA alone would have detached it after each call.
            val attached = Thread.getAllStackTraces().keys.filter { it.isDaemon && it.name.startsWith("Thread-") }
            assertTrue(attached.isNotEmpty(), "${Thread.getAllStackTraces().keys}")
        }
    }
}
