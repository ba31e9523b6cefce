package dev.inkling

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance

/** What apps do at bad moments, and texts that are odd. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BadInputTest {
    private val model = Demo.model()

    @AfterAll
    fun close() = model.close()

    @Test
    fun `cancelled and asked again at once is never busy`() = runBlocking {
        model.session().use { session ->
            repeat(200) { round ->
                val job = launch(Dispatchers.Default, CoroutineStart.UNDISPATCHED) {
                    session.streamResponse(Demo.PROMPT, Demo.endless).collect {}
                }
                // Some before the engine has begun, some before the first token, some in the middle.
                if (round % 3 == 1) Thread.yield()
                if (round % 3 == 2) while (!session.isResponding && job.isActive) Thread.onSpinWait()
                job.cancel()
                assertEquals(3, session.respond(Demo.PROMPT, Demo.greedy.copy(maxTokens = 3)).stats.generatedTokens)
                job.join()
                session.transcript = emptyList()
            }
        }
    }

    @Test
    fun `a stop before the first token, twice, and after the end`() = runBlocking {
        model.session().use { session ->
            session.cancel()
            val events = mutableListOf<InklingEvent>()
            val long = "Where is the train station? ".repeat(90)
            session.streamResponse(long, Demo.endless).collect {
                events += it
                session.cancel()
                session.cancel()
            }
            val stats = (events.last() as InklingEvent.Finished).stats
            assertEquals(FinishReason.Cancelled, stats.finishReason)
            // The prompt is read in chunks, between which cancel is asked; one token may be computed all the same.
            assertTrue(stats.generatedTokens <= 1, "${stats.generatedTokens} tokens")
            session.cancel()
            assertEquals(Demo.ANSWER, model.session().use { it.respond(Demo.PROMPT, Demo.greedy) }.text)
        }
    }

    @Test
    fun `an answer that nobody reads holds nobody up and is closed with its model`() = runBlocking {
        val own = Demo.model()
        val unread = own.session()
        val answer = async(Dispatchers.Default) {
            // The first event is looked at for ever.
            unread.streamResponse(Demo.PROMPT, Demo.endless).collect { Job().join() }
        }
        while (!unread.isResponding && answer.isActive) Thread.onSpinWait()
        own.session().use { assertEquals(Demo.ANSWER, it.respond(Demo.PROMPT, Demo.greedy).text) }
        assertTrue(unread.isResponding)
        fails<InklingException.Busy> { unread.respond("Hello") }
        own.close()
        answer.cancelAndJoin()
        unread.close()
    }

    @Test
    fun `a cancelled answer that nobody reads is no burden`() = runBlocking {
        model.session().use { session ->
            val seen = Job()
            val answer = async(Dispatchers.Default) {
                session.streamResponse(Demo.PROMPT, Demo.endless).collect {
                    seen.complete()
                    Job().join()
                }
            }
            seen.join()
            session.cancel()
            assertFalse(session.isResponding)
            // Its reader looks at the first event still; others ask.
            assertEquals(Demo.ANSWER, model.session().use { it.respond(Demo.PROMPT, Demo.greedy) }.text)
            answer.cancelAndJoin()
            assertEquals(3, session.respond(Demo.PROMPT, Demo.greedy.copy(maxTokens = 3)).stats.generatedTokens)
        }
    }

    @Test
    fun `loads are closed while they run`() = runBlocking {
        repeat(20) { round ->
            val load = async(Dispatchers.Default) { InklingModel.load(ModelSource.file(Demo.file), Demo.options()) }
            repeat(round * 50) { Thread.onSpinWait() }
            load.cancel()
            // It was too late, or it ends as cancelled: nothing else.
            val outcome = runCatching { load.await().close() }.exceptionOrNull()
            assertTrue(outcome == null || outcome is CancellationException, "$outcome")
        }
    }

    @Test
    fun `odd texts go through unharmed`() = runBlocking {
        val texts = listOf("", "\u0000", "a\u0000b", "🧑‍🚀 in 宇宙", "\uFEFF", "e\u0301", "\u202Eabc", "<|im_end|>", "\uD83E\uDD80".repeat(300))
        for (text in texts) {
            assertEquals(text, model.detokenize(model.tokenize(text)), "text of ${text.length}")
            if (text.isEmpty()) continue
            model.session().use { session ->
                val stats = session.respond(text.take(300), Demo.greedy.copy(maxTokens = 5)).stats
                assertTrue(stats.generatedTokens <= 5)
                assertEquals(text.take(300), session.transcript.first().content)
            }
        }
        for (half in listOf("\uD83E", "\uDD80", "a\uD83Eb")) {
            assertEquals("text", fails<InklingException.InvalidInput> { model.tokenize(half) }.field)
            model.session().use { fails<InklingException.InvalidInput> { it.respond(half) } }
        }
    }

    @Test
    fun `a character that never becomes whole arrives as its replacement`() = runBlocking {
        // The first byte of an emoji, again and again.
        val part = model.tokenize("🦀").first()
        val options = Demo.greedy.copy(maxTokens = 20, logitBias = mapOf(part to 1e6f))
        val text = StringBuilder()
        model.complete("Hello", options).collect { if (it is InklingEvent.Text) text.append(it.delta) }
        assertEquals("\uFFFD".repeat(20), text.toString())
        // And whole ones stay whole, though a token is less than a character.
        assertTrue(model.tokenize("🦀🦀🦀").size > 3)
        assertEquals("🦀🦀🦀", model.detokenize(model.tokenize("🦀🦀🦀")))
    }
}
