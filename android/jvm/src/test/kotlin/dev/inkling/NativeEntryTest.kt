package dev.inkling

import java.io.File
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** Android's way in, as far as a plain JVM goes: the library loaded by the virtual machine itself. */
class NativeEntryTest {
    @Test
    fun `the first application context is kept`() = runBlocking {
        System.load(System.getProperty("inkling.library"))
        assertEquals(null, NativeEntry.attach(null))
        assertEquals("java.io.File", NativeEntry.attach(File("application")))
        assertEquals("java.io.File", NativeEntry.attach("another"))
        Demo.model().use { model ->
            model.session().use { assertEquals(Demo.ANSWER, it.respond(Demo.PROMPT, Demo.greedy).text) }
        }
    }
}
