package dev.inkling

import java.io.File

/**
 * Where a model of a store comes from. Equal sources have equal texts; [text] is the one that [parse] reads, [toString] is
 * for people.
 */
class StoreSource private constructor(
    /** All of it, for [parse]. The query of an address may be a signature: do not show it. */
    val text: String,
) {
    /** The text without the query of an address, to be shown. */
    override fun toString(): String = shown(text)
    override fun equals(other: Any?): Boolean = other is StoreSource && other.text == text
    override fun hashCode(): Int = text.hashCode()

    companion object {
        /** A file in a repository of a hub: `owner/name`, the file's path in it, a branch, tag or commit. */
        @JvmStatic
        @JvmOverloads
        fun hub(repo: String, file: String, revision: String = "main"): StoreSource {
            check(REPOSITORY.matches(repo)) { "\"$repo\" is no repository: write owner/name" }
            check('@' !in revision) { "\"$revision\" is no revision: write a branch, a tag or a commit" }
            return StoreSource("$repo/$file@$revision")
        }

        /** A file on any server, whose digest (64 hexadecimal digits) and bytes are known. */
        @JvmStatic
        fun url(url: String, sha256: String, size: Long): StoreSource {
            check(ADDRESS.containsMatchIn(url)) { "\"${url.substringBefore('?')}\" is no address: it begins with https://" }
            check('#' !in url) { "the address must end before '#'" }
            return StoreSource("$url#sha256=$sha256&size=$size")
        }

        /** A model of a signed catalogue that the store trusts. */
        @JvmStatic
        fun catalog(url: String, model: String): StoreSource {
            check(ADDRESS.containsMatchIn(url)) { "\"${url.substringBefore('?')}\" is no address: it begins with https://" }
            check('#' !in url) { "the address must end before '#'" }
            return StoreSource("catalog:$url#$model")
        }

        /** A file on this device. It is copied. */
        @JvmStatic fun file(file: File): StoreSource = StoreSource("file:${file.absolutePath}")

        /** A file on this device. It is copied. */
        @JvmStatic fun file(path: String): StoreSource = file(File(path))

        /**
         * What people type: `owner/name/file.gguf@revision`, `https://host/file.gguf#sha256=…&size=…`,
         * `catalog:https://host/manifest.json#model`, `file:/path`. Whether it makes sense is seen when it is used.
         */
        @JvmStatic fun parse(text: String): StoreSource = StoreSource(text)

        /** An address without its query. What is left out leaves a mark, so that nobody takes it for the whole. */
        internal fun shown(text: String): String {
            val address = text.substringBefore('#')
            val before = address.substringBefore('?')
            val hides = before != address && "://" in before && !text.startsWith("file:")
            return if (hides) "$before?…${text.substring(address.length)}" else text
        }

        private val REPOSITORY = Regex("[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
        private val ADDRESS = Regex("^https?://", RegexOption.IGNORE_CASE)

        /** What would make a text of another kind of source is refused here, everything else by the engine. */
        private inline fun check(fine: Boolean, why: () -> String) {
            if (!fine) throw InklingException.InvalidInput("source", why())
        }
    }
}
