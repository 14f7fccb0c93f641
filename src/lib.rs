//! Tidewatch.
