//! The one integration binary: linking is paid once.

mod layering;
