//! Severity of an incident, 0 to 100, the same scale for every measure:
//!
//! ```text
//! 100 (0.45 min(1, surprise / 10) + 0.40 min(1, impact / 0.3) + 0.15 min(1, duration / 12))
//! ```
//!
//! *Surprise* is `-log10` of the probability of the largest shift so far. *Impact* is the deviation as a share of all that
//! was expected of the measure: a slice that carries a hundredth of it cannot weigh more than a hundredth. *Duration*
//! counts intervals. So 85 and more is a shift beyond doubt of a third of everything, and 70 one that has
//! lasted for an hour of five-minute intervals with half of that impact.

/// Weights, and the values from which on more does not count.
const SURPRISE: (f64, f64) = (45.0, 10.0);
const IMPACT: (f64, f64) = (40.0, 0.3);
const DURATION: (f64, f64) = (15.0, 12.0);

/// Severity of an incident.
pub(super) fn severity(surprise: f64, impact: f64, duration: f64) -> f64 {
    let part = |(weight, full): (f64, f64), value: f64| weight * (value / full).clamp(0.0, 1.0);
    part(SURPRISE, surprise) + part(IMPACT, impact) + part(DURATION, duration)
}

#[cfg(test)]
mod tests {
    use super::severity;

    #[test]
    fn each_part_counts_up_to_its_weight() {
        assert_eq!(severity(0.0, 0.0, 0.0), 0.0);
        assert_eq!(severity(1e9, 1e9, 1e9), 100.0);
        assert_eq!(severity(10.0, 0.0, 0.0), 45.0);
        assert_eq!(severity(0.0, 0.15, 0.0), 20.0);
        assert!((severity(0.0, 0.0, 4.0) - 5.0).abs() < 1e-9);
    }
}
