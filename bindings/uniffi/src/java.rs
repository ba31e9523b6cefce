//! How a JVM gets in. `System.loadLibrary` calls [`JNI_OnLoad`], which keeps the virtual machine; Android's
//! `Inkling.init(context)` then hands over the application context, which system services are asked through.
//!
//! Calls themselves go through UniFFI and JNA. No thread of the engine calls into Java to deliver events (Kotlin waits
//! for them in [`crate::FfiStream::wait`]), so none is attached to the virtual machine for good; JNA attaches those that
//! bring a line of the log to an app's sink, for as long as that takes. Where the library was not loaded by
//! `System.loadLibrary` (a plain JVM with JNA alone), nothing here has any effect.

use std::ffi::c_void;
use std::sync::OnceLock;

use jni::errors::{Error, LogErrorAndDefault};
use jni::objects::{JClass, JObject, JString};
use jni::refs::Global;
use jni::sys::{JNI_VERSION_1_6, jint};
use jni::{EnvUnowned, JavaVM, jni_sig, jni_str};

static CONTEXT: OnceLock<Global<JObject<'static>>> = OnceLock::new();

/// Keeps the virtual machine. Called by `System.loadLibrary`.
///
/// # Safety
///
/// `vm` is the virtual machine that loads this library.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name is Java's")]
pub unsafe extern "system" fn JNI_OnLoad(vm: *mut jni::sys::JavaVM, _reserved: *mut c_void) -> jint {
    // SAFETY: the caller's promise. It is kept in `jni`'s own cell, where `JavaVM::singleton` finds it.
    let _ = unsafe { JavaVM::from_raw(vm) };
    JNI_VERSION_1_6
}

/// `NativeEntry.attach(context)`: keeps the application context; the first one counts, `null` is ignored. Returns the
/// name of the class of the one that is kept, or `null`.
///
/// # Safety
///
/// Called by the virtual machine.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name is Java's")]
pub unsafe extern "system" fn Java_dev_inkling_NativeEntry_attach<'local>(
    mut env: EnvUnowned<'local>,
    _class: JClass<'local>,
    context: JObject<'local>,
) -> JString<'local> {
    let outcome = env.with_env(|env| -> Result<JString<'local>, Error> {
        if !context.is_null() && CONTEXT.get().is_none() {
            // Of two threads here, one loses and drops its reference.
            let _ = CONTEXT.set(env.new_global_ref(&context)?);
        }
        let Some(kept) = CONTEXT.get() else { return Ok(JString::null()) };
        let class = env.get_object_class(kept)?;
        let name = env.call_method(&class, jni_str!("getName"), jni_sig!("()Ljava/lang/String;"), &[])?.l()?;
        env.cast_local::<JString>(name)
    });
    outcome.resolve::<LogErrorAndDefault>()
}

/// Android's application context, once `Inkling.init` has handed it over.
pub fn application_context() -> Option<&'static Global<JObject<'static>>> {
    CONTEXT.get()
}
