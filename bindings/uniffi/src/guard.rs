//! Panics become errors, at every entry.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use crate::FfiError;

/// Runs `work`; a panic in it is [`FfiError::Internal`]. Whatever the panic left half done is behind locks that
/// recover, or is dropped with the object.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, FfiError>) -> Result<T, FfiError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(FfiError::internal(report(&*panic))))
}

/// As [`guard`], for one poll of a future.
pub(crate) fn guard_poll<T>(work: impl FnOnce() -> Poll<Result<T, FfiError>>) -> Poll<Result<T, FfiError>> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Poll::Ready(Err(FfiError::internal(report(&*panic)))))
}

fn report(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_report() {
        let number = 7;
        let error = guard(|| -> Result<(), _> { panic!("number {number}") }).unwrap_err();
        assert!(matches!(&error, FfiError::Internal { report, .. } if report == "number 7"), "{error:?}");
        let polled = guard_poll(|| -> Poll<Result<(), _>> { panic!("plain") });
        let Poll::Ready(Err(FfiError::Internal { report, sentence })) = polled else { panic!("{polled:?}") };
        assert_eq!((report.as_str(), sentence.contains("please report")), ("plain", true));
    }
}
