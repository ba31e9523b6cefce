package dev.inkling

import dev.inkling.ffi.FfiEvent
import dev.inkling.ffi.FfiFinish
import dev.inkling.ffi.FfiStream
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.yield
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class StreamingTest {
    private val model = Demo.model()

    @AfterAll
    fun close() = model.close()

    private fun List<InklingEvent>.text() = filterIsInstance<InklingEvent.Text>().joinToString("") { it.delta }

    @Test
    fun `an answer comes in order and is remembered`() = runBlocking {
        model.session().use { session ->
            val events = session.streamResponse(Demo.PROMPT, Demo.greedy).toList()
            val stats = (events.last() as InklingEvent.Finished).stats
            assertEquals(InklingEvent.Prefilling(0, stats.promptTokens), events[0])
            assertEquals(InklingEvent.Prefilling(stats.promptTokens, stats.promptTokens), events[1])
            assertEquals(InklingEvent.Generating, events[2])
            assertEquals(Demo.ANSWER, events.text())
            assertEquals(Demo.ANSWER, model.detokenize(stats.tokens))
            assertEquals(FinishReason.EndOfAnswer, stats.finishReason)
            assertEquals(
                listOf(Message("user", Demo.PROMPT), Message("assistant", Demo.ANSWER)),
                session.transcript,
            )
            val response = session.respond(Demo.PROMPT, Demo.greedy)
            assertTrue(response.stats.reusedTokens > stats.promptTokens)
        }
    }

    @Test
    fun `a flow is cold and may be collected again`() = runBlocking {
        model.session().use { session ->
            val flow = session.streamResponse(Demo.PROMPT, Demo.greedy)
            assertTrue(session.transcript.isEmpty())
            assertEquals(Demo.ANSWER, flow.toList().text())
            session.transcript = emptyList()
            assertEquals(Demo.ANSWER, flow.toList().text())
        }
    }

    /** Everything that was computed when `cancel` returned is in the next batch; what comes later was computed after. */
    @Test
    fun `cancelling stops the engine within one token`() = runBlocking {
        model.session().use { session ->
            val handle = InklingSession::class.java.getDeclaredField("ffi").apply { isAccessible = true }
            val ffi = handle.get(session) as dev.inkling.ffi.FfiSession
            repeat(20) { round ->
                session.transcript = emptyList()
                ffi.stream(Demo.PROMPT, Demo.endless.ffi()).use { stream ->
                    var before = 0
                    while (before <= round) before += tokens(stream.next()!!)
                    stream.cancel()
                    stream.cancel()
                    val atCancel = stream.next()!!
                    val late = if (atCancel.last() is FfiEvent.Finished) emptyList() else rest(stream)
                    assertTrue(tokens(late) <= 1, "${tokens(late)} tokens after the cancel")
                    val stats = ((atCancel + late).last() as FfiEvent.Finished).stats
                    assertEquals(FfiFinish.Cancelled, stats.finish)
                    assertEquals(before + tokens(atCancel) + tokens(late), stats.generatedTokens.toInt())
                }
            }
        }
    }

    private fun tokens(batch: List<FfiEvent>) = batch.count { it is FfiEvent.LogProbs }

    private suspend fun rest(stream: FfiStream) = buildList {
        while (true) addAll(stream.next() ?: break)
    }

    @Test
    fun `a collector that takes a few cancels the answer`() = runBlocking {
        model.session().use { session ->
            repeat(20) {
                session.transcript = emptyList()
                val events = session.streamResponse(Demo.PROMPT, Demo.endless).take(5).toList()
                assertEquals(5, events.size)
                // What was cancelled no longer counts, and soon its answer is in the transcript as far as it came.
                assertFalse(session.isResponding)
                withTimeout(10_000) { while (session.transcript.size < 2) delay(1) }
                val said = session.transcript.last().content
                // What it had computed before, at most: 64 events wait for a reader, and two belong to a token.
                assertTrue(model.tokenize(said).size < 100, said)
            }
        }
    }

    @Test
    fun `cancelling the coroutine cancels the answer`() = runBlocking {
        model.session().use { session ->
            val job = launch(Dispatchers.Default) { session.respond(Demo.PROMPT, Demo.endless) }
            while (!session.isResponding) yield()
            job.cancel()
            withTimeout(10_000) { job.join() }
            session.transcript = emptyList()
            assertEquals(Demo.ANSWER, session.respond(Demo.PROMPT, Demo.greedy).text)
        }
    }

    @Test
    fun `a stop button keeps what was said`() = runBlocking {
        model.session().use { session ->
            session.cancel()
            val events = mutableListOf<InklingEvent>()
            session.streamResponse(Demo.PROMPT, Demo.endless).collect { event ->
                events += event
                if (event is InklingEvent.Text) {
                    session.cancel()
                    session.cancel()
                }
            }
            val stats = (events.last() as InklingEvent.Finished).stats
            assertEquals(FinishReason.Cancelled, stats.finishReason)
            assertEquals(stats.generatedTokens.toInt(), events.count { it is InklingEvent.LogProbs })
            assertEquals(events.text(), session.transcript.last().content)
            session.cancel()
        }
    }

    @Test
    fun `two sessions answer together as they would alone`() = runBlocking {
        val prompts = listOf(Demo.PROMPT, "Translate to English: Je suis allergique aux noix.")
        val answers = prompts.map { prompt ->
            async(Dispatchers.Default) { model.session().use { it.respond(prompt, Demo.greedy).text } }
        }.awaitAll()
        assertEquals(listOf(Demo.ANSWER, "I am allergic to nuts."), answers)
    }

    @Test
    fun `one session answers one message at a time`() = runBlocking {
        model.session().use { session ->
            val first = async(start = CoroutineStart.UNDISPATCHED) {
                session.streamResponse(Demo.PROMPT, Demo.endless).collect { delay(1) }
            }
            while (!session.isResponding) yield()
            fails<InklingException.Busy> { session.respond("Hello", Demo.greedy) }
            fails<InklingException.Busy> { session.prewarm() }
            fails<InklingException.Busy> { session.transcript = emptyList() }
            first.cancel()
        }
    }

    @Test
    fun `a slow collector loses nothing and holds nobody up`() = runBlocking {
        val options = Demo.endless.copy(maxTokens = 300)
        val quick = model.session().use { it.streamResponse(Demo.PROMPT, options).toList() }
        model.session().use { session ->
            val slow = mutableListOf<InklingEvent>()
            session.streamResponse(Demo.PROMPT, options).collect { event ->
                if (slow.size == 10) {
                    delay(100)
                    // The engine rests, and answers others.
                    val other = model.session().use { it.respond(Demo.PROMPT, Demo.greedy) }
                    assertEquals(Demo.ANSWER, other.text)
                }
                slow += event
            }
            assertEquals(quick.dropLast(1), slow.dropLast(1))
        }
    }

    @Test
    fun `prewarming saves the prefill`() = runBlocking {
        model.session("Translate to German: ".repeat(20)).use { session ->
            session.prewarm("Where")
            assertTrue(session.respond("Where is it?", Demo.greedy).stats.reusedTokens > 20)
        }
    }

    @Test
    fun `raw completion fills the context`() = runBlocking {
        val limit = model.facts.context
        val end = model.complete("Hello", Demo.endless).toList().last() as InklingEvent.Finished
        assertEquals(FinishReason.ContextFull(limit), end.stats.finishReason)
        val ids = model.tokenize("Hello")
        assertEquals(InklingEvent.Prefilling(0, ids.size.toLong()), model.complete(ids).first())
    }
}
