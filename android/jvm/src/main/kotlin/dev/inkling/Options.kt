package dev.inkling

import dev.inkling.ffi.FfiFreeMemory
import dev.inkling.ffi.FfiGenerationOptions
import dev.inkling.ffi.FfiLoadOptions
import dev.inkling.ffi.FfiLogitBias
import dev.inkling.ffi.FfiWeightCache
import java.io.File

/** Where a model comes from. */
class ModelSource private constructor(internal val path: String) {
    override fun toString(): String = path

    companion object {
        /** A GGUF file, or any part of a split one. The file is mapped, never read into the app's memory. */
        @JvmStatic fun file(path: String): ModelSource = ModelSource(path)

        /** A GGUF file, or any part of a split one. */
        @JvmStatic fun file(file: File): ModelSource = ModelSource(file.path)
    }
}

/** Where packed weights are kept, so that the next load is fast. */
sealed class WeightCache {
    /** Nowhere: they are made at every load and held in memory. */
    object Off : WeightCache()

    /** Beside the model. */
    object Beside : WeightCache()

    /** In this folder, which is made if need be. */
    class Folder(val folder: File) : WeightCache()
}

/** How a model is loaded. What is left out is as the engine thinks best. */
class LoadOptions @JvmOverloads constructor(
    /** Tokens that one conversation may hold; at most what the model was made for. */
    val context: Int? = null,
    /** Tokens that all conversations together may hold in the cache. */
    val cachePositions: Int? = null,
    /** How the cache is stored: `f32`, `f16`, `q8_0` or `q4_0`. */
    val kv: String? = null,
    /** Worker threads. */
    val threads: Int? = null,
    /** Tokens of a prompt that run through the model at a time. */
    val batch: Int? = null,
    /** What runs the model. */
    val backend: String = "cpu",
    /** Where packed weights are kept: beside the model, and on Android in a folder of the app. */
    val weightCache: WeightCache = Platform.weightCache,
    /** Says how many bytes of memory the app can still take, where the system does not; called on another thread. */
    val availableMemory: (() -> Long?)? = null,
)

/**
 * How one answer is generated. What is left out is as the engine thinks best.
 *
 * Java makes one with [Builder].
 */
data class GenerationOptions(
    /** Tokens at most, thoughts included. */
    val maxTokens: Int? = null,
    /** Strings that end the answer; they are not delivered. */
    val stop: List<String> = emptyList(),
    /** 0 takes the likeliest token, always; larger is more varied. */
    val temperature: Float? = null,
    /** Keep the likeliest tokens; 0 keeps all. */
    val topK: Int? = null,
    /** Keep the fewest likeliest tokens that hold this much of the mass. */
    val topP: Float? = null,
    /** Keep tokens at least this many times as likely as the likeliest. */
    val minP: Float? = null,
    /** Keep the locally typical tokens that hold this much of the mass. */
    val typicalP: Float? = null,
    /** Divides the logits of tokens that occurred lately; 1 is none. */
    val repetitionPenalty: Float? = null,
    /** Subtracted for each time that a token occurred lately. */
    val frequencyPenalty: Float? = null,
    /** Subtracted once for a token that occurred lately. */
    val presencePenalty: Float? = null,
    /** How many of the last tokens the three penalties look at. */
    val penaltyWindow: Int? = null,
    /** Against repeated sequences: the penalty of the shortest; 0 is none. */
    val dryMultiplier: Float? = null,
    /** Added to tokens' logits; minus infinity bans a token. */
    val logitBias: Map<Int, Float> = emptyMap(),
    /** The same seed gives the same answer to the same prompt. */
    val seed: Long? = null,
    /** Report the log-probability of each token and of this many alternatives. */
    val logProbs: Int? = null,
    /** Whether the model should think before it answers. */
    val thinking: Boolean? = null,
) {
    /** Options in steps, for Java. */
    class Builder {
        private var options = GenerationOptions()

        private fun with(change: GenerationOptions.() -> GenerationOptions) = apply { options = options.change() }

        fun maxTokens(tokens: Int) = with { copy(maxTokens = tokens) }
        fun stop(vararg strings: String) = with { copy(stop = stop + strings) }
        fun temperature(value: Float) = with { copy(temperature = value) }
        fun topK(value: Int) = with { copy(topK = value) }
        fun topP(value: Float) = with { copy(topP = value) }
        fun minP(value: Float) = with { copy(minP = value) }
        fun repetitionPenalty(value: Float) = with { copy(repetitionPenalty = value) }
        fun logitBias(token: Int, amount: Float) = with { copy(logitBias = logitBias + (token to amount)) }
        fun seed(value: Long) = with { copy(seed = value) }
        fun logProbs(alternatives: Int) = with { copy(logProbs = alternatives) }
        fun thinking(value: Boolean) = with { copy(thinking = value) }
        fun build(): GenerationOptions = options
    }

    companion object {
        /** Always the likeliest token. */
        @JvmStatic fun greedy(): GenerationOptions = GenerationOptions(temperature = 0f)
    }
}

/** The engine's numbers have no sign: one below 0 is refused here, as the engine would. */
internal fun size(field: String, value: Int?): UInt? {
    if (value != null && value < 0) {
        throw InklingException.InvalidInput(field, "$value is below 0: give a number of at least 0")
    }
    return value?.toUInt()
}

internal fun List<Int>.tokenIds(): List<UInt> = map { size("tokens", it)!! }

internal fun LoadOptions.ffi() = FfiLoadOptions(
    size("context", context),
    size("cache_positions", cachePositions),
    kv?.whole("kv"),
    size("threads", threads),
    size("batch", batch),
)

internal fun (() -> Long?)?.ffi(): FfiFreeMemory? = this?.let { ask ->
    object : FfiFreeMemory {
        override fun availableBytes(): ULong? = ask()?.coerceAtLeast(0)?.toULong()
    }
}

internal fun WeightCache.ffi(): FfiWeightCache = when (this) {
    WeightCache.Off -> FfiWeightCache.Off
    WeightCache.Beside -> FfiWeightCache.Beside
    is WeightCache.Folder -> FfiWeightCache.Folder(folder.path.whole("weight_cache"))
}

internal fun GenerationOptions.ffi() = FfiGenerationOptions(
    maxTokens = size("max_tokens", maxTokens),
    stop = stop.map { it.whole("stop") },
    temperature = temperature,
    topK = size("top_k", topK),
    topP = topP,
    minP = minP,
    typicalP = typicalP,
    repetitionPenalty = repetitionPenalty,
    frequencyPenalty = frequencyPenalty,
    presencePenalty = presencePenalty,
    penaltyWindow = size("penalty_window", penaltyWindow),
    dryMultiplier = dryMultiplier,
    logitBias = logitBias.map { (token, amount) -> FfiLogitBias(size("logit_bias", token)!!, amount) },
    seed = seed?.toULong(),
    logProbs = size("log_probs", logProbs),
    thinking = thinking,
)
