//! The one integration binary: linking is paid once. A module per subject; what they share is in `support`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backtest;
mod bucket;
mod check;
mod cli;
mod clickstream;
mod cold;
mod crash;
mod deliver;
mod detect;
mod determinism;
mod ecommerce;
mod faults;
mod growing;
mod hooks;
mod incidents;
mod kill;
mod kinesis;
mod layering;
mod measures;
mod oracle;
mod promote;
mod rebuild;
mod records;
mod reference;
mod restart;
mod revise;
mod rules;
mod sample;
mod servers;
mod shipped;
mod silent;
mod source;
mod store;
mod support;
