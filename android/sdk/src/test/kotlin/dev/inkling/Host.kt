package dev.inkling

import java.io.File
import kotlin.io.path.createTempDirectory
import kotlinx.coroutines.runBlocking
import org.robolectric.RuntimeEnvironment

/** What the tests share: the tiny model of the command line, and the host's library. */
object Host {
    private val root = File(System.getProperty("inkling.root")).canonicalFile
    val file = File(root, "core/cli/assets/inkling-demo.gguf")
    const val PROMPT = "Translate to German: Where is the train station?"
    const val ANSWER = "Wo ist der Bahnhof?"

    /** The path of a copy, beside which packed weights may be written. */
    fun copy(): String {
        val folder = createTempDirectory("inkling").toFile()
        Runtime.getRuntime().addShutdownHook(Thread { folder.deleteRecursively() })
        return file.copyTo(File(folder, "model.gguf")).path
    }

    val context: android.app.Application get() = RuntimeEnvironment.getApplication()
}

/** Expects a kind of error. */
inline fun <reified E : Exception> fails(crossinline work: suspend () -> Unit): E {
    val error = runCatching { runBlocking { work() } }.exceptionOrNull()
    if (error !is E) throw AssertionError("expected ${E::class.simpleName}, got $error", error)
    return error
}
