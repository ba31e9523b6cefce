package dev.inkling

import java.io.File
import kotlin.io.path.createTempDirectory
import kotlinx.coroutines.runBlocking

/** What the tests share: the tiny model of the command line. */
object Demo {
    val root = File(System.getProperty("inkling.root")).canonicalFile
    val file = File(root, "core/cli/assets/inkling-demo.gguf")
    const val PROMPT = "Translate to German: Where is the train station?"
    const val ANSWER = "Wo ist der Bahnhof?"

    /** The token that ends its answers. */
    private const val END = 4095

    val greedy = GenerationOptions.greedy()

    /** An answer that never ends by itself, with one event for each token. */
    val endless = greedy.copy(logitBias = mapOf(END to Float.NEGATIVE_INFINITY), logProbs = 0)

    @JvmStatic
    fun options() = LoadOptions(weightCache = WeightCache.Off)

    /** The path of a copy, beside which packed weights may be written. */
    fun copy(): String {
        val folder = createTempDirectory("inkling").toFile()
        Runtime.getRuntime().addShutdownHook(Thread { folder.deleteRecursively() })
        return file.copyTo(File(folder, "model.gguf")).path
    }

    fun model(options: LoadOptions = options()): InklingModel =
        runBlocking { InklingModel.load(ModelSource.file(file), options) }
}

/** Expects a kind of error. */
inline fun <reified E : InklingException> fails(crossinline work: suspend () -> Unit): E {
    val error = runCatching { runBlocking { work() } }.exceptionOrNull()
    if (error !is E) throw AssertionError("expected ${E::class.simpleName}, got $error", error)
    check(error.message!!.isNotBlank())
    return error
}
