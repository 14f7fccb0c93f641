//! What the tests share: made-up data in a temporary directory ([`data`]), a configuration over it ([`pipeline`]) or a
//! shipped one ([`shipped`]), the
//! line run in this process ([`line`]) or as the real program ([`process`]), and everything that it left behind
//! ([`tree`]); real servers ([`servers`]), a stream on one ([`stream`]), and the faults between them and us ([`proxy`]).

pub(crate) mod aggregated;
pub(crate) mod bucket;
pub(crate) mod data;
pub(crate) mod hook;
pub(crate) mod index;
pub(crate) mod line;
pub(crate) mod pipeline;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod rig;
pub(crate) mod servers;
pub(crate) mod shipped;
pub(crate) mod stream;
pub(crate) mod tree;
