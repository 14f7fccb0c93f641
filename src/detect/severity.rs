//! Severity: how bad is it, 0 to 100. With `r` the deviation over the deviation at which an alarm begins,
//! `severity = 100 (1 - 2^(-r/2))`: 29 at the alarm, 50 at twice, 75 at four times, 94 at eight times that deviation.
//! The score says how surprising an interval is given what was known just before it, and falls while an incident lasts;
//! the severity says how far the series still is from normal, and stays.

const HALF: f64 = 2.0;

/// Severity of a deviation that is `ratio` times what begins an alarm.
pub(super) fn severity(ratio: f64) -> f64 {
    if ratio.is_finite() && ratio > 0.0 { 100.0 * (1.0 - libm::exp2(-ratio / HALF)) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::severity;

    #[test]
    fn severity_grows_from_0_to_100() {
        assert_eq!(severity(0.0), 0.0);
        assert_eq!(severity(-1.0), 0.0);
        assert_eq!(severity(2.0), 50.0);
        assert_eq!(severity(1e12), 100.0);
        assert!((0..1000).all(|step| severity(f64::from(step)) < severity(f64::from(step + 1)) || step > 100));
    }
}
