package dev.inkling

import dev.inkling.ffi.FfiCatalog
import dev.inkling.ffi.FfiEnsureOptions
import dev.inkling.ffi.FfiKeyProvider
import dev.inkling.ffi.FfiNetwork
import dev.inkling.ffi.FfiNetworkSignal
import dev.inkling.ffi.FfiStoreOptions
import dev.inkling.ffi.FfiStoreServices
import dev.inkling.ffi.FfiTransportException
import java.io.File

/** A catalogue that the app trusts: its address, and the root document that came with the app. */
class TrustedCatalog(val url: String, val root: ByteArray)

/** Has the keys of encrypted models. Asked on the thread that loads one; what it throws ends the load. */
fun interface KeyProvider {
    /** The 32 bytes of the key with this name. */
    fun key(id: String): ByteArray
}

/** What is known of the network; null where nobody knows. */
data class NetworkState(
    /** Whether there is one that leads anywhere. */
    val online: Boolean?,
    /** Whether its bytes cost the user something, or are few. */
    val metered: Boolean?,
)

/**
 * What a store is made of. What is left out is as the platform has it; Java makes one with [Builder].
 */
data class StoreOptions(
    /** Its folder, which is made if need be. Android has one for it; elsewhere the app names one. */
    val folder: File? = null,
    /** Bytes that all models together may take; those that were not used for the longest time go first. */
    val budget: Long? = null,
    /** Bytes that stay free on the disk for others: 256 MiB unless this says otherwise. */
    val keepFree: Long? = null,
    /** Where repositories live; null is the usual hub. */
    val hub: String? = null,
    /** Said to the hub, and to nobody else. */
    val token: String? = null,
    /** Domains, with all below them, to which addresses may redirect. A host may always redirect to itself. */
    val redirectDomains: List<String> = emptyList(),
    /** Catalogues whose signatures are checked. */
    val catalogs: List<TrustedCatalog> = emptyList(),
    /** Take models from these catalogues only. */
    val onlySigned: Boolean = false,
    /** Says what network there is, about once a second while something is fetched. Android tells by itself. */
    val network: (() -> NetworkState)? = null,
    /** Who has the keys of encrypted models. On Android, a store of keys that `Inkling.keys` fills. */
    val keys: KeyProvider? = null,
    /** Says how many bytes of memory the app can still take, where the system does not; called on another thread. */
    val availableMemory: (() -> Long?)? = null,
) {
    // The token is nobody's business.
    override fun toString(): String = "StoreOptions(folder=$folder, budget=$budget, keepFree=$keepFree, hub=$hub)"

    /** Options in steps, for Java. */
    class Builder {
        private var options = StoreOptions()

        private fun with(change: StoreOptions.() -> StoreOptions) = apply { options = options.change() }

        fun folder(folder: File) = with { copy(folder = folder) }
        fun budget(bytes: Long) = with { copy(budget = bytes) }
        fun keepFree(bytes: Long) = with { copy(keepFree = bytes) }
        fun hub(url: String) = with { copy(hub = url) }
        fun token(token: String) = with { copy(token = token) }
        fun redirectDomains(vararg domains: String) = with { copy(redirectDomains = redirectDomains + domains) }
        fun catalog(url: String, root: ByteArray) = with { copy(catalogs = catalogs + TrustedCatalog(url, root)) }
        fun onlySigned() = with { copy(onlySigned = true) }
        fun network(ask: () -> NetworkState) = with { copy(network = ask) }
        fun keys(provider: KeyProvider) = with { copy(keys = provider) }
        fun availableMemory(ask: () -> Long?) = with { copy(availableMemory = ask) }
        fun build(): StoreOptions = options
    }
}

/** How a model is to be had. */
data class EnsureOptions(
    /** The id under which it is kept; null makes one of the file's name. */
    val id: String? = null,
    /**
     * Wait for a network whose bytes cost nothing; false expressly allows any, also to a download that is on its way and
     * was told to wait. null leaves it to those who want the same model; any network if they say nothing either.
     */
    val unmeteredOnly: Boolean? = null,
    /** Those with greater numbers come first. */
    val priority: Int = 0,
    /** Take a release that failed here before. */
    val insist: Boolean = false,
    /** Ask whether there is a later release, also if one is installed. */
    val update: Boolean = false,
) {
    /** Options in steps, for Java. */
    class Builder {
        private var options = EnsureOptions()

        private fun with(change: EnsureOptions.() -> EnsureOptions) = apply { options = options.change() }

        fun id(id: String) = with { copy(id = id) }
        fun unmeteredOnly() = with { copy(unmeteredOnly = true) }
        fun anyNetwork() = with { copy(unmeteredOnly = false) }
        fun priority(priority: Int) = with { copy(priority = priority) }
        fun insist() = with { copy(insist = true) }
        fun update() = with { copy(update = true) }
        fun build(): EnsureOptions = options
    }
}

/** The engine's numbers have no sign: one below 0 is refused here, as the engine would. */
internal fun bytes(field: String, value: Long): ULong {
    if (value < 0) throw InklingException.InvalidInput(field, "$value is below 0: give a number of at least 0")
    return value.toULong()
}

internal fun StoreOptions.ffi(): FfiStoreOptions {
    val place = folder ?: Platform.storeFolder()
        ?: throw InklingException.InvalidInput("folder", "there is none for this platform: name one")
    return FfiStoreOptions(
        folder = place.path.whole("folder"),
        hub = hub?.whole("hub"),
        token = token?.whole("token"),
        redirectDomains = redirectDomains.map { it.whole("redirect_domains") },
        budget = budget?.let { bytes("budget", it) },
        keepFree = keepFree?.let { bytes("keep_free", it) },
        catalogs = catalogs.map { FfiCatalog(it.url.whole("catalogs"), it.root) },
        onlySigned = onlySigned,
    )
}

internal fun StoreOptions.services(): FfiStoreServices {
    val signal = network?.let { ask ->
        object : FfiNetworkSignal {
            override fun network(): FfiNetwork = ask().let { FfiNetwork(it.online, it.metered) }
        }
    }
    val signals = Platform.signals.let {
        it.copy(network = signal ?: it.network, freeMemory = availableMemory.ffi() ?: it.freeMemory)
    }
    return FfiStoreServices(UrlTransport(), signals, (keys ?: Platform.keys)?.let(::Keys))
}

internal fun EnsureOptions.ffi() = FfiEnsureOptions(id?.whole("id"), unmeteredOnly, priority, insist, update)

private class Keys(private val provider: KeyProvider) : FfiKeyProvider {
    override fun key(id: String): ByteArray =
        try {
            provider.key(id)
        } catch (error: Exception) {
            throw FfiTransportException.Failed(error.message ?: "$error", false)
        }
}
