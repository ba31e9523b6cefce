package dev.inkling

import dev.inkling.ffi.FfiException
import java.io.File
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Errors that need more than a line of the table (CasesTest has those). */
class ErrorsTest {
    @Test
    fun `progress ascends and a load can be cancelled`() = runBlocking {
        val told = mutableListOf<Float>()
        InklingModel.load(ModelSource.file(Demo.file), Demo.options()) { told += it }.close()
        assertEquals(told.sorted(), told)
        assertEquals(1f, told.last())
    }

    @Test
    fun `a load ends with its coroutine`() = runBlocking {
        var steps = 0
        InklingModel.load(ModelSource.file(Demo.file), Demo.options()) { steps++ }.close()
        for (step in 1 until steps step 5) {
            // Cancelled in the middle, by the callback that the load waits for.
            lateinit var load: Deferred<InklingModel>
            var told = 0
            load = async(Dispatchers.Default, CoroutineStart.LAZY) {
                InklingModel.load(ModelSource.file(Demo.file), Demo.options()) { if (++told == step) load.cancel() }
            }
            load.join()
            assertTrue(load.isCancelled, "cancelled at step $step of $steps")
            assertTrue(told < steps, "it was told $told steps after it was cancelled at $step")
        }
    }

    @Test
    fun `what the progress callback throws comes out`() {
        val error = assertThrows(ArithmeticException::class.java) {
            runBlocking {
                InklingModel.load(ModelSource.file(Demo.file), Demo.options()) { throw ArithmeticException("mine") }
            }
        }
        assertEquals("mine", error.message)
    }

    @Test
    fun `the app says how much memory there is`() {
        val tight = LoadOptions(weightCache = WeightCache.Off, availableMemory = { 1000 })
        val error = fails<InklingException.OutOfMemory> { InklingModel.load(ModelSource.file(Demo.file), tight) }
        assertTrue(error.needBytes > 1000 && error.haveBytes == 1000L)
    }

    @Test
    fun `half of a surrogate pair is refused and whole ones are not`() = runBlocking {
        Demo.model().use { model ->
            fails<InklingException.InvalidInput> { model.tokenize("\uD83E") }
            model.session().use { session ->
                session.respond(Demo.PROMPT, Demo.greedy)
                val half = "a\uD83E"
                val field = suspend { fails<InklingException.InvalidInput> { session.respond(half, Demo.greedy) }.field }
                assertEquals("prompt", field())
                assertEquals("prefix", fails<InklingException.InvalidInput> { session.prewarm(half) }.field)
                val stop = Demo.greedy.copy(stop = listOf("\uDD80b"))
                assertEquals("stop", fails<InklingException.InvalidInput> { session.respond("a", stop) }.field)
                val said = listOf(Message("user", half))
                assertEquals("transcript", fails<InklingException.InvalidInput> { session.transcript = said }.field)
                assertEquals("instructions", fails<InklingException.InvalidInput> { model.session(half) }.field)
                assertEquals("path", fails<InklingException.InvalidInput> { InklingModel.inspect(ModelSource.file(half)) }.field)
                assertEquals(2, session.transcript.size)
                val odd = "a\u0000b 🦑"
                assertEquals(odd, model.detokenize(model.tokenize(odd)))
                session.respond(odd, Demo.greedy.copy(maxTokens = 2))
                assertEquals(odd, session.transcript[2].content)
            }
            // What was refused left nothing behind that keeps the conversation.
            assertEquals(0, model.memory().cacheBytes)
        }
    }

    @Test
    fun `every kind keeps its payload and sentence`() {
        val kinds = listOf(
            FfiException.ModelNotFound("a", "s") to { e: InklingException -> (e as InklingException.ModelNotFound).what == "a" },
            FfiException.ModelCorrupt("a", "s") to { e -> (e as InklingException.ModelCorrupt).location == "a" },
            FfiException.UnsupportedModel("a", "s") to { e -> (e as InklingException.UnsupportedModel).what == "a" },
            FfiException.OutOfMemory(7u, 3u, "s") to { e ->
                (e as InklingException.OutOfMemory).run { needBytes == 7L && haveBytes == 3L }
            },
            FfiException.ContextOverflow(3u, 7u, "s") to { e ->
                (e as InklingException.ContextOverflow).run { limit == 3L && used == 7L }
            },
            FfiException.BackendUnavailable("a", "b", "s") to { e ->
                (e as InklingException.BackendUnavailable).run { backend == "a" && reason == "b" }
            },
            FfiException.Cancelled("s") to { e -> e is InklingException.Cancelled },
            FfiException.Busy("s") to { e -> e is InklingException.Busy },
            FfiException.StorageFull(7u, 3u, "s") to { e ->
                (e as InklingException.StorageFull).run { needBytes == 7L && haveBytes == 3L }
            },
            FfiException.Network(true, "s") to { e -> (e as InklingException.Network).retryable },
            FfiException.Integrity("a", 7u, "s") to { e ->
                (e as InklingException.Integrity).run { file == "a" && chunk == 7L }
            },
            FfiException.Integrity("a", null, "s") to { e -> (e as InklingException.Integrity).chunk == null },
            FfiException.InvalidInput("a", "b", "s") to { e ->
                (e as InklingException.InvalidInput).run { `field` == "a" && why == "b" }
            },
            FfiException.Internal("a", "s") to { e -> (e as InklingException.Internal).report == "a" },
        )
        for ((given, kept) in kinds) {
            val error = given.translated()
            assertTrue(kept(error) && error.message == "s", "$given became $error")
            assertEquals(given.javaClass.simpleName, error.javaClass.simpleName)
        }
        assertEquals(FfiException::class.java.permittedSubclasses?.size ?: 13, 13)
        assertEquals(13, kinds.map { it.first.javaClass }.toSet().size)
    }

    @Test
    fun `numbers below 0 are refused`() {
        Demo.model().use { model ->
            val error = fails<InklingException.InvalidInput> { model.complete("a", GenerationOptions(maxTokens = -1)).toList() }
            assertEquals("max_tokens", error.field)
            fails<InklingException.InvalidInput> { model.detokenize(listOf(-1)) }
            fails<InklingException.InvalidInput> { model.setThreads(0) }
        }
    }

    @Test
    fun `a model that is closed while it answers says so`() = runBlocking {
        val model = Demo.model()
        val session = model.session()
        val answer = async(Dispatchers.Default) {
            runCatching { session.streamResponse(Demo.PROMPT, Demo.endless).collect() }.exceptionOrNull()
        }
        while (!session.isResponding && answer.isActive) yield()
        model.close()
        model.close()
        assertTrue(answer.await() is InklingException.Cancelled)
        fails<InklingException.Cancelled> { session.respond("Hello") }
        session.close()
        session.close()
        fails<InklingException.Cancelled> { session.respond("Hello") }
        fails<InklingException.Cancelled> { session.transcript }
        fails<InklingException.Cancelled> { model.tokenize("Hello") }
        fails<InklingException.Cancelled> { model.session() }
        session.cancel()
    }

    @Test
    fun `a session that is closed while it answers joins first`() = runBlocking {
        Demo.model().use { model ->
            val session = model.session()
            val answer = async(Dispatchers.Default) { session.respond(Demo.PROMPT, Demo.endless) }
            while (!session.isResponding && answer.isActive) yield()
            session.close()
            assertEquals(FinishReason.Cancelled, answer.await().finishReason)
            assertEquals(0, model.memory().cacheBytes)
        }
    }

    @Test
    fun `a file can be looked into`() = runBlocking {
        val info = InklingModel.inspect(ModelSource.file(Demo.file))
        assertEquals("qwen3", info.architecture)
        assertTrue(info.problems.isEmpty() && info.weightBytes > 1_000_000)
        fails<InklingException.ModelNotFound> { InklingModel.inspect(ModelSource.file(File("nowhere.gguf"))) }
        Unit
    }

    @Test
    fun `the log goes where the app wants it`() {
        val lines = java.util.Collections.synchronizedList(mutableListOf<String>())
        InklingLog.send(LogLevel.TRACE) { level, target, line -> lines += "$level $target $line" }
        Demo.model().use { model ->
            runBlocking { model.session().use { it.respond("a secret", Demo.greedy.copy(maxTokens = 3)) } }
        }
        assertTrue(lines.any { it.startsWith("DEBUG inkling_session::engine the engine thread ends") }, "$lines")
        assertTrue(lines.none { "secret" in it })
        InklingLog.send(LogLevel.TRACE, null)
        val known = lines.size
        Demo.model().close()
        assertEquals(known, lines.size)
    }
}
