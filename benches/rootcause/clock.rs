//! Time on the processor, of this thread: what else runs on the machine does not count.

/// Seconds of processor time so far; by the wall where the system does not tell.
pub(crate) fn cpu() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next().and_then(|first| first.parse::<f64>().ok()));
    nanos.map_or_else(wall, |nanos| nanos * 1e-9)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn wall() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs_f64())
}
