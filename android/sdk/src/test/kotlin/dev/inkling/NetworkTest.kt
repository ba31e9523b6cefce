package dev.inkling

import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import android.net.NetworkCapabilities.NET_CAPABILITY_INTERNET
import android.net.NetworkCapabilities.NET_CAPABILITY_NOT_METERED
import android.net.NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED
import android.net.NetworkCapabilities.NET_CAPABILITY_VALIDATED
import android.os.Build
import dev.inkling.ffi.FfiNetwork
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.shadows.ShadowConnectivityManager
import org.robolectric.shadows.ShadowNetworkCapabilities

/** The network as ConnectivityManager tells it, on Android 8 and Android 14. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 34], manifest = Config.NONE)
class NetworkTest {
    private val connectivity = Host.context.getSystemService(ConnectivityManager::class.java)
    private val network get() = connectivity.activeNetwork!!
    private var changes = 0

    private fun signal() = AndroidNetwork(Host.context) { changes++ }

    private fun capabilities(vararg those: Int): NetworkCapabilities =
        ShadowNetworkCapabilities.newInstance().also { made -> those.forEach { shadowOf(made).addCapability(it) } }

    private fun listener() = shadowOf(connectivity).networkCallbacks.single()

    @Test
    fun `the listener is told, and tells of changes only`() {
        val signal = signal()
        fun tell(vararg capabilities: Int): FfiNetwork {
            listener().onCapabilitiesChanged(network, capabilities(*capabilities))
            return signal.network()
        }
        assertEquals(FfiNetwork(true, true), tell(NET_CAPABILITY_INTERNET, NET_CAPABILITY_VALIDATED))
        val before = changes
        assertEquals(FfiNetwork(true, true), tell(NET_CAPABILITY_INTERNET, NET_CAPABILITY_VALIDATED))
        assertEquals(before, changes)
        assertEquals(
            FfiNetwork(true, false),
            tell(NET_CAPABILITY_INTERNET, NET_CAPABILITY_VALIDATED, NET_CAPABILITY_NOT_METERED),
        )
        assertEquals(before + 1, changes)
        // A page that asks for a password comes first.
        assertEquals(FfiNetwork(false, false), tell(NET_CAPABILITY_INTERNET, NET_CAPABILITY_NOT_METERED))
        if (Build.VERSION.SDK_INT >= 30) {
            val free = tell(NET_CAPABILITY_INTERNET, NET_CAPABILITY_VALIDATED, NET_CAPABILITY_TEMPORARILY_NOT_METERED)
            assertEquals(FfiNetwork(true, false), free)
        }
        listener().onLost(network)
        assertEquals(FfiNetwork(false, null), signal.network())
    }

    @Test
    fun `what is there at first is asked`() {
        shadowOf(connectivity).setNetworkCapabilities(
            network,
            capabilities(NET_CAPABILITY_INTERNET, NET_CAPABILITY_VALIDATED, NET_CAPABILITY_NOT_METERED),
        )
        assertEquals(FfiNetwork(true, false), signal().network())
        shadowOf(connectivity).setDefaultNetworkActive(false)
        shadowOf(connectivity).clearAllNetworks()
        shadowOf(connectivity).setActiveNetworkInfo(null)
        assertEquals(FfiNetwork(false, null), signal().network())
    }

    @Test
    @Config(shadows = [Deaf::class])
    fun `an Android that takes no listener is asked each time`() {
        val signal = signal()
        assertTrue(shadowOf(connectivity).networkCallbacks.isEmpty())
        shadowOf(connectivity).setNetworkCapabilities(
            network,
            capabilities(NET_CAPABILITY_INTERNET, NET_CAPABILITY_VALIDATED),
        )
        assertEquals(FfiNetwork(true, true), signal.network())
    }

    @Test
    @Config(shadows = [Forbidden::class])
    fun `nobody knows without the permission`() = assertEquals(FfiNetwork(null, null), signal().network())

    /** As when the app has too many listeners. */
    @Implements(ConnectivityManager::class)
    class Deaf : ShadowConnectivityManager() {
        @Implementation
        override fun registerDefaultNetworkCallback(callback: ConnectivityManager.NetworkCallback) {
            throw RuntimeException("TooManyRequestsException")
        }
    }

    @Implements(ConnectivityManager::class)
    class Forbidden : ShadowConnectivityManager() {
        @Implementation
        override fun registerDefaultNetworkCallback(callback: ConnectivityManager.NetworkCallback) {
            throw SecurityException("ACCESS_NETWORK_STATE")
        }

        @Implementation
        override fun getActiveNetwork(): android.net.Network {
            throw SecurityException("ACCESS_NETWORK_STATE")
        }
    }
}
