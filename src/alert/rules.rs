//! Which groups are worth an alert.

use crate::model::AnomalyGroup;

/// One `[[alert]]` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Groups of at least this severity, 0 to 100.
    pub severity_threshold: f64,
    /// Only these measures; all where empty.
    pub measures: Vec<String>,
}

impl Rule {
    /// Whether a group passes.
    pub fn passes(&self, group: &AnomalyGroup) -> bool {
        group.severity >= self.severity_threshold
            && (self.measures.is_empty() || self.measures.contains(&group.measure))
    }
}
