package dev.inkling

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.ObjectMapper
import java.io.File
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.TestInstance

/** The table that every language runs: bindings/cases/cases.json. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CasesTest {
    private val table = ObjectMapper().readTree(File(Demo.root, "bindings/cases/cases.json"))
    private val model = Demo.model()

    @AfterAll
    fun close() = model.close()

    private fun JsonNode?.int() = this?.asInt()
    private fun JsonNode?.float() = this?.let { if (it.asText() == "nan") Float.NaN else it.floatValue() }
    private fun JsonNode?.ints() = this?.map { it.asInt() } ?: emptyList()
    private fun JsonNode?.strings() = this?.map { it.asText() } ?: emptyList()

    private fun generation(options: JsonNode?) = GenerationOptions(
        maxTokens = options?.get("max_tokens").int(),
        stop = options?.get("stop").strings(),
        temperature = options?.get("temperature").float(),
        topK = options?.get("top_k").int(),
        topP = options?.get("top_p").float(),
        minP = options?.get("min_p").float(),
        seed = options?.get("seed")?.asLong(),
        logProbs = options?.get("log_probs").int(),
        logitBias = options?.get("logit_bias")?.associate {
            it[0].asInt() to if (it[1].isNull) Float.NEGATIVE_INFINITY else it[1].floatValue()
        } ?: emptyMap(),
    )

    private fun loading(options: JsonNode?) = LoadOptions(
        context = options?.get("context").int(),
        threads = options?.get("threads").int(),
        batch = options?.get("batch").int(),
        kv = options?.get("kv")?.asText(),
        cachePositions = options?.get("cache_positions").int(),
        weightCache = WeightCache.Off,
    )

    private fun said(event: InklingEvent) = when (event) {
        is InklingEvent.Prefilling -> "prefilling ${event.done}/${event.total}"
        is InklingEvent.Generating -> "generating"
        is InklingEvent.Text -> "text ${event.delta}"
        is InklingEvent.Thinking -> "thinking ${event.delta}"
        is InklingEvent.LogProbs -> "log_probs ${event.chosen.token} of ${event.top.size}"
        is InklingEvent.Finished -> "finished " + when (val finish = event.stats.finishReason) {
            is FinishReason.EndOfAnswer -> "end_of_answer"
            is FinishReason.StopString -> "stop_string ${finish.text}"
            is FinishReason.MaxTokens -> "max_tokens"
            is FinishReason.Cancelled -> "cancelled"
            is FinishReason.ContextFull -> "context_full ${finish.limit}"
        }
    }

    @TestFactory
    fun tokens(): List<DynamicTest> = table["tokens"].map { case ->
        dynamicTest(case["text"].asText().trim()) {
            assertEquals(case["ids"].ints(), model.tokenize(case["text"].asText()))
            assertEquals(case["text"].asText(), model.detokenize(case["ids"].ints()))
        }
    }

    @TestFactory
    fun answers(): List<DynamicTest> = table["answers"].map { case ->
        dynamicTest(case["name"].asText()) {
            model.session(case["instructions"]?.asText()).use { session ->
                for (turn in case["turns"]) {
                    val flow = session.streamResponse(turn["prompt"].asText(), generation(turn["options"]))
                    val events = runBlocking { flow.toList() }
                    val stats = (events.last() as InklingEvent.Finished).stats
                    assertEquals(turn["events"].strings(), events.map(::said))
                    assertEquals(turn["tokens"].ints(), stats.tokens)
                    assertEquals(turn["text"].asText(), session.transcript.last().content)
                    assertEquals(turn["prompt_tokens"].asLong(), stats.promptTokens)
                    assertEquals(turn["reused_tokens"].asLong(), stats.reusedTokens)
                }
            }
        }
    }

    @TestFactory
    fun errors(): List<DynamicTest> = table["errors"].map { case ->
        dynamicTest(case["name"].asText()) {
            val error = fails<InklingException> { attempt(case) }
            val expected = case["error"]
            assertEquals(expected["kind"].asText(), error.javaClass.simpleName)
            when (error) {
                is InklingException.InvalidInput -> assertEquals(expected["field"].asText(), error.field)
                is InklingException.BackendUnavailable -> assertEquals(expected["backend"].asText(), error.backend)
                is InklingException.ContextOverflow -> {
                    assertEquals(expected["limit"].asLong(), error.limit)
                    assertEquals(expected["used"].asLong(), error.used)
                }
                else -> assertTrue(expected.size() == 1, "$expected has fields that are not compared")
            }
        }
    }

    private suspend fun attempt(case: JsonNode) {
        val bytes = case["bytes"]?.asText()?.chunked(2)?.map { it.toInt(16).toByte() }?.toByteArray()
        val file = when {
            bytes != null -> File.createTempFile("case", ".gguf").apply { deleteOnExit() }.apply { writeBytes(bytes) }
            case.has("path") -> File(Demo.root.path + "/" + case["path"].asText())
            else -> Demo.file
        }
        val source = ModelSource.file(file)
        when (case["do"].asText()) {
            "engine" -> {
                InklingModel.load(ModelSource.file(Demo.file), LoadOptions(backend = case["backend"].asText())).close()
                return
            }
            "inspect" -> {
                InklingModel.inspect(source)
                return
            }
        }
        InklingModel.load(source, loading(case["load"])).use { model ->
            val options = generation(case["options"])
            when (val what = case["do"].asText()) {
                "load" -> {}
                "threads" -> model.setThreads(case["threads"].asInt())
                "detokenize" -> model.detokenize(case["ids"].ints())
                "respond" -> model.session().use {
                    it.respond(case["prompt"].asText().repeat(case["repeat"].int() ?: 1), options)
                }
                "complete" -> when (val text = case["prompt"]?.asText()) {
                    null -> model.complete(case["ids"].ints(), options)
                    else -> model.complete(text, options)
                }.collect()
                else -> error("a case cannot do $what")
            }
        }
    }
}
