//! The three ways to be refused: impossible settings, a block that is not numbers, a snapshot that cannot be read.
//! Nothing here changes state: every check comes before the first write.

use thiserror::Error;

/// A setting outside its allowed range.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SettingsError {
    /// The shape of a point is impossible.
    #[error(
        "`{dims_base}` dimensions x shingle `{shingle}` is not possible; hint: both at least 1, their product at most 256"
    )]
    Lanes {
        /// Numbers in one block.
        dims_base: usize,
        /// Blocks in one point.
        shingle: usize,
    },
    /// The number of trees is out of range.
    #[error("`{0}` trees is out of range; hint: 1 to 253")]
    Trees(usize),
    /// The sample size is out of range.
    #[error("a sample of `{0}` points is out of range; hint: 2 to 256")]
    SampleSize(usize),
    /// The time decay is not a fraction.
    #[error("time decay `{0}` is out of range; hint: 0 <= decay < 1, usually 1 / (10 * sample size)")]
    TimeDecay(f64),
    /// The initial accept fraction is not a fraction.
    #[error("initial accept fraction `{0}` is out of range; hint: more than 0, at most 1")]
    InitialAccept(f64),
    /// The mass above which boxes are kept is out of range.
    #[error("box mass `{0}` is out of range; hint: 1 to 256, larger is smaller and slower")]
    BoxMass(usize),
}

/// A block that cannot be learnt or scored. The forest is unchanged.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InputError {
    /// The block has the wrong number of values.
    #[error("a block has `{expected}` values, this one has `{found}`")]
    Length {
        /// `dims_base` of the settings.
        expected: usize,
        /// Length of the slice.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("value `{value}` at position `{position}` is not finite; hint: leave the interval out or impute it")]
    NotFinite {
        /// Position in the block.
        position: usize,
        /// The value.
        value: f64,
    },
    /// A coordinate named as missing is not in the block.
    #[error("coordinate `{coordinate}` is not in a block of `{dims_base}` values")]
    Coordinate {
        /// The position asked for.
        coordinate: usize,
        /// `dims_base` of the settings.
        dims_base: usize,
    },
}

/// A snapshot that cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// The bytes do not start like a forest.
    #[error("these bytes are not a forest snapshot")]
    NotASnapshot,
    /// The snapshot was written by a later version.
    #[error(
        "snapshot version `{found}` is newer than `{newest}`; hint: run the newer program, or rebuild the forest from the stored partitions"
    )]
    Newer {
        /// Version in the snapshot.
        found: u16,
        /// Newest version this program reads.
        newest: u16,
    },
    /// The checksum or the contents are wrong.
    #[error("the snapshot is damaged ({0}); hint: rebuild the forest from the stored partitions")]
    Damaged(&'static str),
}
