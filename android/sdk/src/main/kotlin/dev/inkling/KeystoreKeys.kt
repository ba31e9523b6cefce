package dev.inkling

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import java.io.File
import java.io.IOException
import java.security.GeneralSecurityException
import java.security.KeyStore
import java.security.MessageDigest
import java.util.UUID
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * The keys of encrypted models, each in a private file that only this app on this device can read: it is encrypted with
 * an AES-GCM key that never leaves the Android Keystore. A store that names no other [KeyProvider] asks here.
 *
 * The app brings a key once, with [put]: from its server, never from its own package, where everybody finds it. Functions
 * wait for the disk and the Keystore: call them on a thread that may.
 *
 * What it keeps off: whoever reads the device's storage, or a copy of it, gets no model. What not: who controls the
 * running app, since the model lies in its memory in the clear.
 */
class KeystoreKeys internal constructor(
    private val folder: File,
    private val master: () -> SecretKey = ::keystoreKey,
) : KeyProvider {
    /** Keeps the 32 bytes of the key with this name, in place of an earlier one. */
    @Synchronized
    @Throws(InklingException::class)
    fun put(id: String, key: ByteArray) {
        if (key.size != KEY_BYTES) {
            throw InklingException.InvalidInput("key", "it has ${key.size} bytes: a key has $KEY_BYTES")
        }
        try {
            // The Keystore chooses the nonce itself.
            val cipher = Cipher.getInstance(ALGORITHM).apply {
                init(Cipher.ENCRYPT_MODE, master())
                updateAAD(bound(id))
            }
            val sealed = cipher.doFinal(key)
            folder.mkdirs()
            // Under its name only when it is whole.
            val next = File(folder, "${UUID.randomUUID()}.next")
            try {
                next.outputStream().use {
                    it.write(byteArrayOf(VERSION, cipher.iv.size.toByte()) + cipher.iv + sealed)
                    it.fd.sync()
                }
                if (!next.renameTo(file(id))) throw IOException("$next cannot take its place")
            } finally {
                next.delete()
            }
        } catch (error: GeneralSecurityException) {
            throw failed("the Android Keystore does not encrypt: $error", error)
        } catch (error: IOException) {
            throw failed("the key cannot be written: $error", error)
        }
    }

    /** Whether there is a key with this name. */
    fun has(id: String): Boolean = file(id).exists()

    /** Forgets the key with this name. Models that are loaded stay. */
    @Synchronized
    fun remove(id: String) {
        file(id).delete()
    }

    /** Fails with [InklingException.InvalidInput] if there is no such key, or it cannot be read any more. */
    @Synchronized
    @Throws(InklingException::class)
    override fun key(id: String): ByteArray {
        val file = file(id)
        if (!file.exists()) throw unusable(id, "there is none")
        return try {
            val bytes = file.readBytes()
            if (bytes.size < 2 || bytes[0] != VERSION) throw unusable(id, "its file is damaged")
            val nonce = bytes[1].toInt()
            if (nonce !in 1..bytes.size - 2) throw unusable(id, "its file is damaged")
            Cipher.getInstance(ALGORITHM).run {
                init(Cipher.DECRYPT_MODE, master(), GCMParameterSpec(TAG_BITS, bytes, 2, nonce))
                updateAAD(bound(id))
                doFinal(bytes, 2 + nonce, bytes.size - 2 - nonce)
            }
        } catch (error: GeneralSecurityException) {
            // Damaged, of another name, or the Keystore has lost its own key.
            throw unusable(id, "it cannot be decrypted ($error)")
        } catch (error: IOException) {
            throw unusable(id, "its file cannot be read ($error)")
        }
    }

    /** A name may be any text, a file's name not. */
    private fun file(id: String): File {
        val digest = MessageDigest.getInstance("SHA-256").digest(id.toByteArray())
        return File(folder, digest.joinToString("") { "%02x".format(it) })
    }

    private companion object {
        const val ALGORITHM = "AES/GCM/NoPadding"
        const val KEY_BYTES = 32
        const val TAG_BITS = 128
        const val VERSION: Byte = 1

        /** A file that is renamed to that of another key does not decrypt. */
        fun bound(id: String) = "inkling key $id".toByteArray()

        fun failed(report: String, cause: Throwable) = InklingException.Internal(report, report, cause)

        fun unusable(id: String, why: String) =
            InklingException.InvalidInput("keys", "the key \"$id\": $why: put it again")
    }
}

/** The key that encrypts the others: made once, in the Keystore's hardware where there is some. */
private fun keystoreKey(): SecretKey {
    val store = KeyStore.getInstance("AndroidKeyStore").apply { load(null) }
    (store.getKey(MASTER, null) as? SecretKey)?.let { return it }
    val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
    // No unlocked screen is asked for: models are loaded in the background, too.
    val spec = KeyGenParameterSpec.Builder(MASTER, purposes)
        .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
        .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
        .setKeySize(256)
        .build()
    return KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, "AndroidKeyStore").run {
        init(spec)
        generateKey()
    }
}

private const val MASTER = "dev.inkling.keys"
