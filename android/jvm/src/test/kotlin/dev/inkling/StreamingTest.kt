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
                while (session.transcript.size < 2) delay(1)
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
            while (!session.isResponding && job.isActive) yield()
            job.cancel()
            job.join()
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
            while (!session.isResponding && first.isActive) yield()
            fails<InklingException.Busy> { session.respond("Hello", Demo.greedy) }
            fails<InklingException.Busy> { session.prewarm() }
            fails<InklingException.Busy> { session.transcript = emptyList() }
            first.cancel()
        }
    }

    @Test
    fun `many coroutines at once are told that it is busy`() = runBlocking {
        model.session().use { session ->
            val options = Demo.endless.copy(maxTokens = 20)
            val outcomes = List(32) {
                async(Dispatchers.Default) {
                    runCatching { session.respond(Demo.PROMPT, options) }.fold({ it.text }, { it.javaClass.simpleName })
                }
            }.awaitAll()
            val answers = outcomes.filter { it != "Busy" }
            assertTrue(answers.isNotEmpty() && "Busy" in outcomes, "$outcomes")
            // Each that was asked left both messages, in order, and those that were refused left none.
            val roles = session.transcript.map { it.role }
            assertEquals(List(answers.size) { listOf("user", "assistant") }.flatten(), roles)
            assertEquals(answers.toSet(), session.transcript.filter { it.role == "assistant" }.map { it.content }.toSet())
        }
    }

    @Test
    fun `a model that is let go while it answers lives as long as somebody reads`() = runBlocking {
        fun ask() = Demo.model().session().streamResponse(Demo.PROMPT, Demo.greedy)
        val text = StringBuilder()
        ask().collect { event ->
            System.gc()
            if (event is InklingEvent.Text) text.append(event.delta)
        }
        assertEquals(Demo.ANSWER, text.toString())
    }

    @Test
    fun `a conversation goes on from its transcript`() = runBlocking {
        val said = model.session().use { session ->
            session.respond(Demo.PROMPT, Demo.greedy)
            session.transcript
        }
        val next = "Translate to German: Thank you."
        val fresh = model.session(transcript = said).use { it.respond(next, Demo.greedy).stats.tokens }
        val same = model.session().use { session ->
            session.respond(Demo.PROMPT, Demo.greedy)
            session.respond(next, Demo.greedy).stats.tokens
        }
        assertEquals(same, fresh)
    }

    @Test
    fun `threads may change in the middle of an answer`() = runBlocking {
        model.session().use { session ->
            val text = StringBuilder()
            session.streamResponse(Demo.PROMPT, Demo.greedy).collect { event ->
                if (event is InklingEvent.Text) {
                    text.append(event.delta)
                    model.setThreads(1 + text.length % 2)
                }
            }
            assertEquals(Demo.ANSWER, text.toString())
        }
        model.setThreads(2)
    }

    /** Tokens of a character come one by one, its text at once. Biases choose the tokens, and the penalty for what was
     * said chooses their order. */
    @Test
    fun `an emoji across tokens comes whole`() = runBlocking {
        val ids = model.tokenize("🦑")
        assertTrue(ids.size > 1 && ids.toSet().size == ids.size)
        val options = Demo.greedy.copy(
            maxTokens = ids.size,
            presencePenalty = 10_000f,
            logitBias = ids.withIndex().associate { (place, id) -> id to 5_000f - 1_000f * place },
        )
        val events = model.session().use { it.streamResponse(Demo.PROMPT, options).toList() }
        assertEquals(ids, (events.last() as InklingEvent.Finished).stats.tokens)
        assertEquals(listOf(InklingEvent.Text("🦑")), events.filterIsInstance<InklingEvent.Text>())
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
