//! A verification: all bytes of a model are read, which takes seconds for each gigabyte, and can be stopped.

use std::sync::Arc;

use inkling::CancelToken;

use super::FfiVerified;
use crate::work::Work;
use crate::{FfiError, FfiProgress};

/// A running verification. Dropping it cancels it.
#[derive(uniffi::Object)]
pub struct FfiVerify(Work<FfiVerified>);

impl FfiVerify {
    pub(super) fn start(
        progress: Option<Arc<dyn FfiProgress>>,
        verify: impl Fn(&CancelToken, &dyn Fn(f32)) -> Result<FfiVerified, FfiError> + Send + 'static,
    ) -> Result<Arc<Self>, FfiError> {
        Ok(Arc::new(Self(Work::start("inkling-verify", progress, verify)?)))
    }
}

#[uniffi::export]
impl FfiVerify {
    /// Waits for what was found, which is handed out once. One caller may wait at a time.
    pub async fn finish(&self) -> Result<FfiVerified, FfiError> {
        self.0.finish().await
    }

    /// Asks it to stop; it ends with `Cancelled` soon. Returns at once.
    pub fn cancel(&self) -> Result<(), FfiError> {
        self.0.cancel()
    }
}
