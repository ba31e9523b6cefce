package dev.inkling

import dev.inkling.ffi.FfiFit
import dev.inkling.ffi.FfiHandedOver
import dev.inkling.ffi.FfiInstalled
import dev.inkling.ffi.FfiOrigin
import dev.inkling.ffi.FfiSegments
import dev.inkling.ffi.FfiStoreUsage
import dev.inkling.ffi.FfiVerified
import java.time.Instant

/** An installed model. */
data class InstalledModel(
    val id: String,
    val source: StoreSource,
    /** The release that the next load takes. */
    val release: Long,
    /** Whether it has yet to prove itself. */
    val isOnTrial: Boolean,
    /** The release that a rollback would bring back. */
    val previous: Long?,
    /** Bytes of its files. */
    val bytes: Long,
    /** Whether it is kept whatever happens. */
    val isPinned: Boolean,
    /** When it was last loaded. */
    val lastUsed: Instant?,
    /** Whether all files that it needs are there, as far as is known without reading them. */
    val isComplete: Boolean,
)

/** Whether a model will run here. */
sealed class ModelFit {
    /** It will: the memory that it needs, what can be had if somebody knows, and what remains to be downloaded. */
    data class Yes(val needBytes: Long, val haveBytes: Long?, val downloadBytes: Long) : ModelFit()

    /** There is not enough memory. */
    data class NoMemory(val needBytes: Long, val haveBytes: Long, val suggestion: String) : ModelFit()

    /** There is not enough space on the disk. */
    data class NoStorage(val needBytes: Long, val haveBytes: Long, val suggestion: String) : ModelFit()
}

/** What became of a verification: bytes read, and what is damaged. [InklingStore.ensure] fetches that again. */
data class StoreVerification(val bytes: Long, val damaged: List<Damage>) {
    /** Whether all is well. */
    val isSound: Boolean get() = damaged.isEmpty()

    /** A file with damaged chunks, counted from 0; none if the file is missing. */
    data class Damage(val file: String, val chunks: List<Long>)
}

/** What takes how many bytes. */
data class StoreUsage(
    /** Files of installed models. */
    val models: Long,
    /** What engines prepared from them. */
    val prepared: Long,
    /** Downloads that are not complete. */
    val downloads: Long,
    /** Files that no model needs, and damaged ones: [InklingStore.gc] frees them. */
    val unused: Long,
    val total: Long,
)

/** Where a model from a store comes from. */
data class ModelOrigin(
    /** Its id: another one than was asked for if an alternative had to do. */
    val id: String,
    val release: Long,
    /** Whether it has yet to prove itself. */
    val isOnTrial: Boolean,
    /** What was given up on the way: the app should know, and perhaps its user. */
    val givenUp: List<GivenUp>,
) {
    /**
     * What could not be used, and why, in words: a release that is not used any more, or, without one, a model that could
     * not be loaded this time.
     */
    data class GivenUp(val id: String, val release: Long?, val why: String)
}

/** A part of a file that is to be fetched with these headers; the answer must be a 206. */
data class SegmentPart(
    /** The file, by its digest. */
    val file: String,
    /** The part's first byte in the file. */
    val from: Long,
    val length: Long,
    val url: String,
    val headers: List<Pair<String, String>>,
) {
    /** Without what may be secret: the query of the address, and what the headers say. */
    override fun toString(): String =
        "SegmentPart(file=$file, from=$from, length=$length, url=${StoreSource.shown(url)}, " +
            "headers=${headers.map { it.first }})"
}

/** What a model still needs; no parts if all is there. */
data class Segments(val id: String, val parts: List<SegmentPart>)

/** What became of a part that was handed over. */
data class HandedOver(
    /** Bytes of it that were new and right. */
    val bytes: Long,
    /** Models of which this was the last that they lacked: they are installed now. */
    val installed: List<String>,
)

internal fun FfiInstalled.model() = InstalledModel(
    id = id,
    source = StoreSource.parse(source),
    release = release.toLong(),
    isOnTrial = onTrial,
    previous = previous?.toLong(),
    bytes = bytes.toLong(),
    isPinned = pinned,
    lastUsed = lastUsed.toLong().takeIf { it > 0 }?.let(Instant::ofEpochSecond),
    isComplete = complete,
)

internal fun FfiFit.fit(): ModelFit = when (this) {
    is FfiFit.Yes -> ModelFit.Yes(needBytes.toLong(), haveBytes?.toLong(), downloadBytes.toLong())
    is FfiFit.NoMemory -> ModelFit.NoMemory(needBytes.toLong(), haveBytes.toLong(), suggestion)
    is FfiFit.NoStorage -> ModelFit.NoStorage(needBytes.toLong(), haveBytes.toLong(), suggestion)
}

internal fun FfiVerified.verification() =
    StoreVerification(bytes.toLong(), damaged.map { file -> StoreVerification.Damage(file.file, file.chunks.map { it.toLong() }) })

internal fun FfiStoreUsage.usage() =
    StoreUsage(models.toLong(), prepared.toLong(), downloads.toLong(), unused.toLong(), total.toLong())

internal fun FfiOrigin.origin() =
    ModelOrigin(id, release.toLong(), onTrial, givenUp.map { ModelOrigin.GivenUp(it.id, it.release?.toLong(), it.why) })

internal fun FfiHandedOver.handedOver() = HandedOver(bytes.toLong(), installed)

internal fun FfiSegments.segments() = Segments(
    id,
    parts.map { part ->
        SegmentPart(part.file, part.from.toLong(), part.length.toLong(), part.url, part.headers.map { it.name to it.value })
    },
)
