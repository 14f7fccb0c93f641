//! The root cause of a deviation: the smallest set of dimension slices that explains it. This is the lattice scan alone,
//! on codes and numbers; names, points and groups are next door.
//!
//! ```text
//!  leaves ── rows ──> cells ── noise ──> weight and score of each ── cube ──> sums of every slice of every cuboid
//!                                                                               │ search: the slice of the largest gain,
//!                                                                               │ checked, climbed, taken out; again
//!                                                          Explanation <── shares
//! ```
//!
//! A *leaf* is one full combination of dimension values, a *cuboid* a subset of the dimensions, a *slice* one combination
//! of values in a cuboid. Every leaf tells of a relative shift `x` and carries as much information `w` about it as its
//! forecast is sure: the noise model is what tells a broken slice from a thousand quiet leaves that are merely small. With
//! `N = Σw` and `S = Σwx` over the leaves of a slice, `S²/2N` is the gain in log-likelihood of "all of these leaves shifted
//! alike" over "none did". A cause has the largest gain of all slices: a slice above it is diluted by leaves that did not
//! move, one below it has less of those that did.
//!
//! Linear in the leaves, times the number of cuboids where the slices are many. No clock, no randomness: the same leaves
//! give the same causes.

mod cube;
mod leaves;
mod noise;
mod rows;
mod search;
mod share;

pub use leaves::{Amount, Kind, Leaves};
pub use share::{Basis, Cause, Effects, Explanation, RateChange};

/// Finds what explains the deviation of the leaves from what was expected of them.
pub fn explain(leaves: &Leaves) -> Explanation {
    let rows = rows::Rows::merged(leaves);
    let evidence = noise::evidence(&rows);
    let found = search::search(&rows, &evidence);
    share::explanation(&rows, &evidence, &found)
}

#[cfg(test)]
mod tests;
