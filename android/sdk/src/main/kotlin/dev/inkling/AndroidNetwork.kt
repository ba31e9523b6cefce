package dev.inkling

import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import android.net.NetworkCapabilities
import android.os.Build
import dev.inkling.ffi.FfiNetwork
import dev.inkling.ffi.FfiNetworkSignal

/**
 * The network that apps use by default, as Android tells a listener: whether it leads to the internet (Android has tried
 * it), and whether its bytes cost something. [changed] is called when that is another answer than before.
 *
 * Where Android takes no listener it is asked each time; where the app has given up the permission to ask, nobody knows.
 */
internal class AndroidNetwork(context: Context, private val changed: () -> Unit) : FfiNetworkSignal {
    private val connectivity = context.getSystemService(ConnectivityManager::class.java)
    private var listening = false

    @Volatile private var told = UNKNOWN

    init {
        told = ask()
        try {
            connectivity?.registerDefaultNetworkCallback(Listener())
            listening = connectivity != null
        } catch (refused: RuntimeException) {
            // Too many listeners in this app, or no permission: a SecurityException.
        }
    }

    override fun network(): FfiNetwork = if (listening) told else ask()

    private fun ask(): FfiNetwork =
        try {
            connectivity?.run { seen(getNetworkCapabilities(activeNetwork)) } ?: UNKNOWN
        } catch (refused: SecurityException) {
            UNKNOWN
        }

    private fun tell(network: FfiNetwork) {
        if (told == network) return
        told = network
        changed()
    }

    /** Called on a thread of the system, one call at a time. */
    private inner class Listener : ConnectivityManager.NetworkCallback() {
        // What the manager would say here may be older than what is told.
        override fun onCapabilitiesChanged(network: Network, capabilities: NetworkCapabilities) = tell(seen(capabilities))
        override fun onLost(network: Network) = tell(seen(null))
    }

    private companion object {
        val UNKNOWN = FfiNetwork(null, null)

        fun seen(network: NetworkCapabilities?): FfiNetwork {
            fun has(capability: Int) = network?.hasCapability(capability) == true
            // Not before Android has found that it leads somewhere: not behind a page that asks for a password.
            val online = has(NetworkCapabilities.NET_CAPABILITY_INTERNET) && has(NetworkCapabilities.NET_CAPABILITY_VALIDATED)
            val free = has(NetworkCapabilities.NET_CAPABILITY_NOT_METERED) ||
                Build.VERSION.SDK_INT >= 30 && has(NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED)
            return FfiNetwork(online, network?.let { !free })
        }
    }
}
