package dev.inkling

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import java.io.File
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyStoreSpi
import java.security.Provider
import java.security.SecureRandom
import java.security.Security
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import javax.crypto.KeyGenerator
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config

/** Keys wrapped by a Keystore that is asked as the real one, but is none: Robolectric has no Keystore. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE)
class KeystoreKeysTest {
    private val folder get() = File(Host.context.noBackupFilesDir, "keys")
    private val key = ByteArray(32) { it.toByte() }

    @Before
    fun provide() {
        FakeKeystore.made.clear()
        Security.addProvider(FakeKeystore)
    }

    @After
    fun remove() = Security.removeProvider(FakeKeystore.name)

    private fun wrong(work: () -> Unit) = fails<InklingException.InvalidInput> { work() }.also { check(it.message!!.isNotBlank()) }

    @Test
    fun `keys come back, also to the next start`() {
        val keys = KeystoreKeys(folder)
        for (id in listOf("a", "A", "", "../../x", "x".repeat(1000), "🦑\u0000")) {
            assertFalse(keys.has(id))
            keys.put(id, key)
            assertTrue(keys.has(id))
            assertArrayEquals(key, KeystoreKeys(folder).key(id))
        }
        assertEquals("the files' names are no texts of others", 6, folder.list()!!.size)
        assertEquals("one key of the Keystore", 1, FakeKeystore.made.size)
        val other = ByteArray(32) { 7 }
        keys.put("a", other)
        assertArrayEquals(other, keys.key("a"))
        assertArrayEquals(key, keys.key("A"))
        keys.remove("a")
        keys.remove("a")
        assertFalse(keys.has("a"))
        assertEquals("keys", wrong { keys.key("a") }.field)
    }

    @Test
    fun `the Keystore is asked for AES-GCM, for a key that it keeps`() {
        KeystoreKeys(folder).put("a", key)
        val spec = FakeKeystore.asked!!
        assertEquals("dev.inkling.keys", spec.keystoreAlias)
        assertEquals(KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT, spec.purposes)
        assertArrayEquals(arrayOf(KeyProperties.BLOCK_MODE_GCM), spec.blockModes)
        assertEquals(256, spec.keySize)
        assertFalse(spec.isUserAuthenticationRequired)
    }

    @Test
    fun `nothing on the disk is the key, and nothing on it is believed`() {
        val keys = KeystoreKeys(folder)
        keys.put("a", key)
        keys.put("b", key)
        val (one, other) = folder.listFiles()!!.sortedBy { it.name }
        assertFalse(one.readBytes().contentEquals(other.readBytes()))
        for (file in listOf(one, other)) {
            assertFalse(String(file.readBytes(), Charsets.ISO_8859_1).contains(String(key, Charsets.ISO_8859_1)))
        }
        val good = one.readBytes()
        // Which name it stands for: the one that is missing without it.
        one.delete()
        val id = listOf("a", "b").single { !keys.has(it) }
        for (at in good.indices) {
            one.writeBytes(good.clone().apply { this[at] = (this[at].toInt() xor 1).toByte() })
            assertEquals("byte $at", "keys", wrong { keys.key(id) }.field)
        }
        for (length in good.indices) {
            one.writeBytes(good.copyOf(length))
            wrong { keys.key(id) }
        }
        // Another key's file under this name.
        one.writeBytes(other.readBytes())
        wrong { keys.key(id) }
        one.writeBytes(good)
        assertArrayEquals(key, keys.key(id))
        // The device's Keystore was emptied.
        FakeKeystore.made.clear()
        assertTrue(wrong { keys.key(id) }.why.contains("put it again"))
        keys.put(id, key)
        assertArrayEquals(key, keys.key(id))
    }

    @Test
    fun `a key has 32 bytes`() {
        for (size in listOf(0, 16, 31, 33)) assertEquals("key", wrong { KeystoreKeys(folder).put("a", ByteArray(size)) }.field)
    }

    @Test
    fun `a device whose Keystore does not work says so`() {
        Security.removeProvider(FakeKeystore.name)
        fails<InklingException.Internal> { KeystoreKeys(folder).put("a", key) }
        assertFalse(KeystoreKeys(folder).has("a"))
    }
}

/** Answers to the names of Android's Keystore; keeps keys in memory. */
internal object FakeKeystore : Provider("AndroidKeyStore", "1", "for tests") {
    val made = mutableMapOf<String, SecretKey>()
    var asked: KeyGenParameterSpec? = null

    init {
        put("KeyStore.AndroidKeyStore", Store::class.java.name)
        put("KeyGenerator.AES", Generator::class.java.name)
    }

    private fun readResolve(): Any = FakeKeystore

    class Generator : KeyGeneratorSpi() {
        override fun engineInit(random: SecureRandom?) = error("unused")
        override fun engineInit(size: Int, random: SecureRandom?) = error("unused")
        override fun engineInit(spec: AlgorithmParameterSpec?, random: SecureRandom?) {
            asked = spec as KeyGenParameterSpec
        }

        override fun engineGenerateKey(): SecretKey =
            KeyGenerator.getInstance("AES", "SunJCE").apply { init(asked!!.keySize) }.generateKey()
                .also { made[asked!!.keystoreAlias] = it }
    }

    class Store : KeyStoreSpi() {
        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit
        override fun engineGetKey(alias: String, password: CharArray?): Key? = made[alias]
        override fun engineContainsAlias(alias: String) = alias in made
        override fun engineIsKeyEntry(alias: String) = alias in made
        override fun engineSize() = made.size
        override fun engineAliases(): Enumeration<String> = Collections.enumeration(made.keys)
        override fun engineDeleteEntry(alias: String) {
            made.remove(alias)
        }

        override fun engineGetCertificateChain(alias: String): Array<Certificate> = error("unused")
        override fun engineGetCertificate(alias: String): Certificate = error("unused")
        override fun engineGetCreationDate(alias: String): Date = error("unused")
        override fun engineSetKeyEntry(alias: String, key: Key, password: CharArray?, chain: Array<Certificate>?) = error("unused")
        override fun engineSetKeyEntry(alias: String, key: ByteArray, chain: Array<Certificate>?) = error("unused")
        override fun engineSetCertificateEntry(alias: String, certificate: Certificate) = error("unused")
        override fun engineIsCertificateEntry(alias: String) = false
        override fun engineGetCertificateAlias(certificate: Certificate): String = error("unused")
        override fun engineStore(stream: OutputStream?, password: CharArray?) = error("unused")
    }
}
