//! The comparison by itself: a band, a value, late rows.
