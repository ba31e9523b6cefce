package dev.inkling

import dev.inkling.ffi.FfiSignals

/** What a platform's library gives to every load that does not say otherwise; nothing, on a plain JVM. */
internal object Platform {
    /** What the engine asks the device for. */
    @Volatile var signals = FfiSignals(null, null, null)

    /** Where packed weights are kept. */
    @Volatile var weightCache: WeightCache = WeightCache.Beside
}
