package dev.inkling

import com.sun.net.httpserver.HttpServer
import java.io.File
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.URI
import java.net.URLEncoder
import java.security.MessageDigest

/** A program of this repository that a script has built and names in the environment. */
fun built(variable: String): String = checkNotNull(System.getenv(variable)?.takeIf { File(it).canExecute() }) {
    "$variable must name a program that scripts/test-kotlin.sh builds: it is ${System.getenv(variable)}"
}

/** The server that does wrong what it is told to (core/store/chaos), serving a folder. */
class ChaosServer(val folder: File) : AutoCloseable {
    private val process = ProcessBuilder(built("INKLING_CHAOS_SERVER"), folder.path)
        .redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val port = process.inputStream.bufferedReader().readLine().trim().toInt()

    fun url(path: String) = "http://127.0.0.1:$port$path"

    private fun tell(command: String) = URI(url("/-/$command")).toURL().readText()

    /** As `reset=100000@middle*2`. */
    fun rule(rule: String) {
        tell("rule?" + URLEncoder.encode(rule, "UTF-8"))
    }

    fun clear() {
        tell("clear")
    }

    /** Bytes of bodies that were sent of this path. */
    fun sent(path: String): Long = tell("counts").lines().map { it.split(' ') }
        .firstOrNull { it.size == 3 && it[2] == path }?.get(1)?.toLong() ?: 0

    /** Puts a file there and gives its source. */
    fun serve(file: File, path: String): StoreSource {
        file.copyTo(File(folder, path.drop(1)), overwrite = true)
        return StoreSource.url(url(path), sha256(file), file.length())
    }

    override fun close() {
        process.outputStream.close()
        process.waitFor()
    }
}

/** A hub: says of one file what it is, and sends those who want it to where it lies. */
class Hub(path: String, sha256: String, size: Long, target: String) : AutoCloseable {
    private val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
    val url = "http://127.0.0.1:${server.address.port}"

    init {
        server.createContext("/") { exchange ->
            exchange.use {
                if (it.requestURI.path.replace(COMMIT, "main") == path) {
                    it.responseHeaders.add("Location", target)
                    it.responseHeaders.add("X-Linked-Etag", "\"$sha256\"")
                    it.responseHeaders.add("X-Linked-Size", "$size")
                    it.responseHeaders.add("X-Repo-Commit", COMMIT)
                    it.sendResponseHeaders(302, -1)
                } else {
                    it.sendResponseHeaders(404, -1)
                }
            }
        }
        server.start()
    }

    override fun close() = server.stop(0)

    private companion object {
        const val COMMIT = "0123456789abcdef0123456789abcdef01234567"
    }
}

fun sha256(file: File): String =
    MessageDigest.getInstance("SHA-256").digest(file.readBytes()).joinToString("") { "%02x".format(it) }
