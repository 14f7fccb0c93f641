//! The rules of an OpenSearch detector: deviations that it ignores. Ours are margins around what was expected, the same
//! on both sides, and one side alone; rules that say so are translated, all others are named.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::detect::{MIN_CHANGE_MAX, MIN_CHANGE_RATIO_MAX};
use crate::import::draft::{Draft, Section};
use crate::import::json::Reader;

/// What OpenSearch ignores where no rule is given (2.17 and later): deviations of up to this share.
const RATIO_BY_DEFAULT: f64 = 0.2;

/// Margins by feature.
#[derive(Debug, Default)]
pub(super) struct Rules {
    by_feature: BTreeMap<String, Margins>,
    is_default: bool,
}

#[derive(Debug, Default)]
struct Margins {
    /// Up to how much above, and below, what was expected is ignored.
    change: [Option<f64>; 2],
    ratio: [Option<f64>; 2],
    /// Whether all that is above, or below, is ignored.
    side: [bool; 2],
}

impl Rules {
    /// Reads the rules of a detector and notes those that have no counterpart.
    pub(super) fn read(draft: &mut Draft, detector: &mut Reader<'_>) -> Rules {
        let Some(rules) = detector.get("rules").and_then(Value::as_array) else {
            return Rules { is_default: true, ..Rules::default() };
        };
        let mut read = Rules::default();
        for (at, rule) in rules.iter().enumerate() {
            if read.take(rule).is_none() {
                draft.left(&format!("rules[{at}] = {rule}"), "only one condition on one feature becomes a margin");
            }
        }
        for (feature, margins) in &mut read.by_feature {
            for (name, pair) in [("margin", &mut margins.change), ("ratio", &mut margins.ratio)] {
                if pair[0] != pair[1] {
                    draft.left(&format!("rules: {name} of `{feature}`"), "a margin is the same above and below");
                    *pair = [None, None];
                }
            }
            if margins.side == [true, true] {
                draft.left(&format!("rules: direction of `{feature}`"), "both sides are ignored");
                margins.side = [false, false];
            }
        }
        read
    }

    fn take(&mut self, rule: &Value) -> Option<()> {
        if rule.get("action").is_some_and(|action| action.as_str() != Some("IGNORE_ANOMALY")) {
            return None;
        }
        let conditions = rule.get("conditions")?.as_array()?;
        // several conditions must hold together, which margins do not say
        let [condition] = conditions.as_slice() else { return None };
        let feature = condition.get("feature_name")?.as_str()?.to_owned();
        let kind = condition.get("threshold_type")?.as_str()?;
        let value = condition.get("value").and_then(Value::as_f64);
        let is_less = condition.get("operator").is_none_or(|op| matches!(op.as_str(), Some("LTE" | "LT") | None));
        if !is_less {
            return None;
        }
        let mut margins = Margins::default();
        match (kind, value) {
            ("ACTUAL_OVER_EXPECTED_MARGIN", Some(value)) => margins.change[0] = Some(value),
            ("EXPECTED_OVER_ACTUAL_MARGIN", Some(value)) => margins.change[1] = Some(value),
            ("ACTUAL_OVER_EXPECTED_RATIO", Some(value)) => margins.ratio[0] = Some(value),
            ("EXPECTED_OVER_ACTUAL_RATIO", Some(value)) => margins.ratio[1] = Some(value),
            ("ACTUAL_IS_OVER_EXPECTED", _) => margins.side[0] = true,
            ("ACTUAL_IS_BELOW_EXPECTED", _) => margins.side[1] = true,
            _ => return None,
        }
        let are_in_range = |values: [Option<f64>; 2], max| values.iter().flatten().all(|v| (0.0..=max).contains(v));
        if !are_in_range(margins.change, MIN_CHANGE_MAX) || !are_in_range(margins.ratio, MIN_CHANGE_RATIO_MAX) {
            return None;
        }
        let there = self.by_feature.entry(feature).or_default();
        for side in 0..2 {
            there.change[side] = margins.change[side].or(there.change[side]);
            there.ratio[side] = margins.ratio[side].or(there.ratio[side]);
            there.side[side] |= margins.side[side];
        }
        Some(())
    }

    /// Writes the margins of one feature.
    pub(super) fn write(&self, measure: &mut Section, feature: &str) {
        if self.is_default {
            let from = "no rules: OpenSearch ignores deviations of up to 20 % by default";
            measure.number("min_change_ratio", RATIO_BY_DEFAULT, from);
        }
        let Some(margins) = self.by_feature.get(feature) else { return };
        if let [Some(change), _] = margins.change {
            measure.number("min_change", change, "rules: …_MARGIN, above and below");
        }
        if let [Some(ratio), _] = margins.ratio {
            measure.number("min_change_ratio", ratio, "rules: …_RATIO, above and below");
        }
        match margins.side {
            [true, false] => drop(measure.text("direction", "low", "rules: ACTUAL_IS_OVER_EXPECTED is ignored")),
            [false, true] => drop(measure.text("direction", "high", "rules: ACTUAL_IS_BELOW_EXPECTED is ignored")),
            _ => {}
        }
    }
}
