package dev.inkling

import dev.inkling.ffi.FfiEvent
import dev.inkling.ffi.FfiFinish
import dev.inkling.ffi.FfiLogProb
import dev.inkling.ffi.FfiStats
import java.time.Duration

/** Something that happened in an answer. The last one is [Finished], unless the answer fails. */
sealed class InklingEvent {
    /** The prompt runs through the model: [done] of [total] tokens, without those that were known already. */
    data class Prefilling(val done: Long, val total: Long) : InklingEvent()

    /** Tokens are generated from now on. */
    data object Generating : InklingEvent()

    /** More of the answer; whole characters. */
    data class Text(val delta: String) : InklingEvent()

    /** More of the thoughts; whole characters. */
    data class Thinking(val delta: String) : InklingEvent()

    /** How likely a generated token was. Comes before its text. */
    data class LogProbs(val chosen: LogProb, val top: List<LogProb>) : InklingEvent()

    /** The end. */
    data class Finished(val stats: Stats) : InklingEvent()
}

/** A token and the natural logarithm of its probability. */
data class LogProb(val token: Int, val logProb: Float)

/** Why an answer ended. */
sealed class FinishReason {
    /** The model ended it. */
    data object EndOfAnswer : FinishReason()

    /** It came to this stop string. */
    data class StopString(val text: String) : FinishReason()

    /** As many tokens as were allowed were generated. */
    data object MaxTokens : FinishReason()

    /** It was cancelled. */
    data object Cancelled : FinishReason()

    /** A raw completion filled the context. */
    data class ContextFull(val limit: Long) : FinishReason()
}

/** What an answer did and how long it took. */
data class Stats(
    val finishReason: FinishReason,
    /** Tokens of the prompt. */
    val promptTokens: Long,
    /** Of these, tokens that were known from earlier answers. */
    val reusedTokens: Long,
    /** Of these, tokens that ran through the model. */
    val prefilledTokens: Long,
    /** Tokens of thoughts and answer, without the one that ends it. */
    val generatedTokens: Long,
    /** Their ids. */
    val tokens: List<Int>,
    /** The seed that was used. */
    val seed: Long,
    /** From the request to the first token; zero if there was none. */
    val timeToFirstToken: Duration,
    /** From the first chunk of the prompt to the first token. */
    val prefillTime: Duration,
    /** From the first token to the last. */
    val decodeTime: Duration,
    /** From the request to the end. */
    val totalTime: Duration,
    /** Prompt tokens a second; 0 if nothing ran. */
    val prefillTokensPerSecond: Double,
    /** Generated tokens a second; 0 if there were not two. */
    val decodeTokensPerSecond: Double,
)

/** A whole answer. */
data class InklingResponse(val text: String, val thinking: String, val stats: Stats) {
    val finishReason: FinishReason get() = stats.finishReason
}

internal fun FfiEvent.event(): InklingEvent = when (this) {
    is FfiEvent.Prefilling -> InklingEvent.Prefilling(done.toLong(), total.toLong())
    is FfiEvent.Generating -> InklingEvent.Generating
    is FfiEvent.Text -> InklingEvent.Text(delta)
    is FfiEvent.Thinking -> InklingEvent.Thinking(delta)
    is FfiEvent.LogProbs -> InklingEvent.LogProbs(chosen.logProb(), top.map { it.logProb() })
    is FfiEvent.Finished -> InklingEvent.Finished(stats.stats())
}

private fun FfiLogProb.logProb() = LogProb(token.toInt(), logProb)

private fun FfiFinish.reason(): FinishReason = when (this) {
    is FfiFinish.EndOfAnswer -> FinishReason.EndOfAnswer
    is FfiFinish.StopString -> FinishReason.StopString(text)
    is FfiFinish.MaxTokens -> FinishReason.MaxTokens
    is FfiFinish.Cancelled -> FinishReason.Cancelled
    is FfiFinish.ContextFull -> FinishReason.ContextFull(limit.toLong())
}

private fun FfiStats.stats() = Stats(
    finishReason = finish.reason(),
    promptTokens = promptTokens.toLong(),
    reusedTokens = reusedTokens.toLong(),
    prefilledTokens = prefilledTokens.toLong(),
    generatedTokens = generatedTokens.toLong(),
    tokens = tokens.map { it.toInt() },
    seed = seed.toLong(),
    timeToFirstToken = timeToFirstToken,
    prefillTime = prefillTime,
    decodeTime = decodeTime,
    totalTime = totalTime,
    prefillTokensPerSecond = prefillTokensPerSecond,
    decodeTokensPerSecond = decodeTokensPerSecond,
)
