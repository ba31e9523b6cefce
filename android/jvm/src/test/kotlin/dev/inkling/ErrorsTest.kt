package dev.inkling

import java.io.File
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
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
        repeat(20) {
            val job = launch(Dispatchers.Default) {
                InklingModel.load(ModelSource.file(Demo.file), Demo.options()).close()
            }
            if (it > 0) yield()
            job.cancelAndJoin()
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
                fails<InklingException.InvalidInput> { session.respond("\uD83E", Demo.greedy) }
                assertTrue(session.transcript.isEmpty())
                val odd = "a\u0000b 🦑"
                assertEquals(odd, model.detokenize(model.tokenize(odd)))
                session.respond(odd, Demo.greedy.copy(maxTokens = 2))
                assertEquals(odd, session.transcript[0].content)
            }
        }
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
        while (!session.isResponding) yield()
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
            while (!session.isResponding) yield()
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
