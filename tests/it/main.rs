//! The one integration binary: linking is paid once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod layering;
