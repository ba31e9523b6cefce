//! How a JVM gets in. `System.loadLibrary` calls [`JNI_OnLoad`], which keeps the virtual machine; Android's
//! `Inkling.init(context)` then hands over the application context, which system services are asked through.
//!
//! Calls themselves go through UniFFI and JNA. What JNA cannot do is done here: a thread of ours that calls into Java
//! is attached to the virtual machine once and for good, and not at every call. Where the library was not loaded by
//! `System.loadLibrary` (a plain JVM with JNA alone), nothing here has any effect.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};

use jni::errors::{Error, LogErrorAndDefault};
use jni::objects::{JClass, JObject, JString};
use jni::refs::Global;
use jni::sys::{JNI_OK, JNI_VERSION_1_6, jint};
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

/// A waker whose thread is attached before it calls into Java.
pub(crate) fn attaching(waker: &Waker) -> Waker {
    if JavaVM::singleton().is_ok() { Arc::new(Attaching(waker.clone())).into() } else { waker.clone() }
}

struct Attaching(Waker);

impl Wake for Attaching {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        attach_thread();
        self.0.wake_by_ref();
    }
}

/// Attaches this thread until it ends, as a daemon: a thread of the engine must not keep the process alive.
fn attach_thread() {
    thread_local! {
        static ATTACHED: RefCell<Option<Attached>> = const { RefCell::new(None) };
    }
    // A thread that ends has no locals any more; its calls are attached one by one, by JNA.
    let _ = ATTACHED.try_with(|attached| {
        if let Ok(mut attached) = attached.try_borrow_mut()
            && attached.is_none()
        {
            *attached = Attached::new();
        }
    });
}

struct Attached(JavaVM);

impl Attached {
    /// Nothing, if the thread is Java's own or cannot be attached.
    fn new() -> Option<Self> {
        let vm = JavaVM::singleton().ok()?;
        let raw = vm.get_raw();
        let mut env = null_mut();
        // SAFETY: `raw` is the virtual machine, which outlives every thread, and these are functions of its table since
        // JNI 1.4; `env` is a place for a pointer.
        let attached = unsafe {
            let table = &(**raw).v1_4;
            (table.GetEnv)(raw, &mut env, JNI_VERSION_1_6) != JNI_OK
                && (table.AttachCurrentThreadAsDaemon)(raw, &mut env, null_mut()) == JNI_OK
        };
        attached.then_some(Self(vm))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let raw = self.0.get_raw();
        // SAFETY: as above; this thread attached itself, and no Java frame is on its stack when its locals are dropped.
        unsafe { ((**raw).v1_4.DetachCurrentThread)(raw) };
    }
}
