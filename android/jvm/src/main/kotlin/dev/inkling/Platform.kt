package dev.inkling

import dev.inkling.ffi.FfiSignals
import java.io.File
import java.util.Collections
import java.util.WeakHashMap

/** What a platform's library gives to every load and store that does not say otherwise; nothing, on a plain JVM. */
internal object Platform {
    /** What the engine asks the device for. */
    @Volatile var signals = FfiSignals(null, null, null, null)

    /** Where packed weights are kept. */
    @Volatile var weightCache: WeightCache = WeightCache.Beside

    /** Where a store's models are kept. */
    @Volatile var storeFolder: () -> File? = { null }

    /** Who has the keys of encrypted models. */
    @Volatile var keys: KeyProvider? = null

    private val stores = Collections.synchronizedMap(WeakHashMap<InklingStore, Unit>())

    fun opened(store: InklingStore) {
        stores[store] = Unit
    }

    fun closed(store: InklingStore) {
        stores.remove(store)
    }

    /** The network is another one, or gone, or back. */
    fun networkChanged() = synchronized(stores) { stores.keys.toList() }.forEach { it.networkChanged() }
}
