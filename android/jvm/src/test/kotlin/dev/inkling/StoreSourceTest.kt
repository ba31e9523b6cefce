package dev.inkling

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test

/** The query of an address may be a signature: it is kept, so that somebody can ask again, and not shown. */
class StoreSourceTest {
    private val digest = "0".repeat(64)

    @Test
    fun `queries are kept and not shown`() {
        val signed = StoreSource.url("https://h.example/m.gguf?sign=secret", digest, 7)
        assertEquals("https://h.example/m.gguf?…#sha256=$digest&size=7", "$signed")
        assertEquals("https://h.example/m.gguf?sign=secret#sha256=$digest&size=7", signed.text)
        assertEquals(signed, StoreSource.parse(signed.text))
        assertEquals("catalog:https://h.example/c.json?…#m", "${StoreSource.catalog("https://h.example/c.json?secret", "m")}")
        for (plain in listOf("o/r/what?.gguf@main", "file:/tmp/a://b?c", "https://h.example/m.gguf#size=7")) {
            assertEquals(plain, "${StoreSource.parse(plain)}")
        }
        val part = SegmentPart(digest, 0, 7, "https://h.example/m.gguf?sign=secret", listOf("Cookie" to "secret"))
        assertFalse("secret" in "$part", "$part")
        val wrong = assertThrows(InklingException.InvalidInput::class.java) { StoreSource.url("h.example?secret", digest, 7) }
        assertFalse("secret" in "$wrong", "$wrong")
    }
}
