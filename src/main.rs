//! Tidewatch.
fn main() {}
