//! Which notices a route takes. The same words filter the findings that are shown on the terminal, one by one.
//!
//! All conditions must hold. Within one list any entry will do; where a list is empty, everything does.

use crate::model::{Dimensions, Notice, NoticeKind};

/// The filter of one `[[alert]]` or `[[deliver]]` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Of at least this severity, 0 to 100.
    pub severity_threshold: f64,
    /// Of at least this score.
    pub score_threshold: f64,
    /// About one of these measures.
    pub measures: Vec<String>,
    /// About a slice that has one of the values in each of these columns.
    pub dimensions: Vec<(String, Vec<String>)>,
    /// That say one of these things; where none is named, all but that a level was learned.
    pub kinds: Vec<NoticeKind>,
    /// Whether that a level was learned passes where no kind is named.
    pub level_shifts: bool,
}

impl Filter {
    /// Whether a notice passes: its dimensions do where one of its slices does.
    pub fn lets_pass(&self, notice: &Notice) -> bool {
        let of_measure = self.measures.is_empty() || notice.measures.iter().any(|measure| self.has_measure(measure));
        let in_slice = self.dimensions.is_empty() || notice.slices.iter().any(|slice| self.has_slice(slice));
        self.has_kind(notice.kind)
            && of_measure
            && in_slice
            && notice.severity >= self.severity_threshold
            && notice.score >= self.score_threshold
    }

    /// What passes, in words.
    pub fn description(&self) -> String {
        let mut words = Vec::new();
        if self.severity_threshold > 0.0 {
            words.push(format!("severity from {}", self.severity_threshold));
        }
        if self.score_threshold > 0.0 {
            words.push(format!("score from {}", self.score_threshold));
        }
        if !self.measures.is_empty() {
            words.push(self.measures.join(" or "));
        }
        words.extend(self.dimensions.iter().map(|(column, values)| format!("{column} {}", values.join(" or "))));
        if !self.kinds.is_empty() {
            let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
            words.push(format!("{} alone", kinds.join(" or ")));
        }
        if words.is_empty() { "all".to_owned() } else { words.join(", ") }
    }

    /// Whether something passes that is known by these figures alone.
    pub(super) fn lets_series_pass(&self, measure: &str, slice: &Dimensions, severity: f64, score: f64) -> bool {
        severity >= self.severity_threshold
            && score >= self.score_threshold
            && (self.measures.is_empty() || self.has_measure(measure))
            && self.has_slice(slice)
    }

    /// Whether it is told of things of this kind.
    pub(super) fn has_kind(&self, kind: NoticeKind) -> bool {
        let is_usual = self.level_shifts || kind != NoticeKind::LevelShift;
        self.kinds.contains(&kind) || (self.kinds.is_empty() && is_usual)
    }

    fn has_measure(&self, measure: &str) -> bool {
        self.measures.iter().any(|name| name == measure)
    }

    fn has_slice(&self, slice: &Dimensions) -> bool {
        let mut wanted = self.dimensions.iter();
        wanted.all(|(column, values)| {
            slice.iter().any(|(name, value)| name == column && values.iter().any(|allowed| allowed == value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::notice;

    fn slice(pairs: &[(&str, &str)]) -> Dimensions {
        Dimensions::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn all_conditions_hold_and_any_entry_of_a_list_will_do() {
        let notice = Notice {
            measures: vec!["views".into(), "clicks".into()],
            slices: vec![slice(&[("shop", "us"), ("kind", "web")]), slice(&[("shop", "de"), ("kind", "app")])],
            severity: 70.0,
            score: 4.0,
            ..notice("one", "thread")
        };
        let dimensions = |pairs: &[(&str, &[&str])]| {
            let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
            pairs.iter().map(|(column, allowed)| ((*column).to_owned(), values(allowed))).collect()
        };
        let pass = |filter: Filter| filter.lets_pass(&notice);
        assert!(pass(Filter::default()));
        assert!(pass(Filter { severity_threshold: 70.0, score_threshold: 4.0, ..Filter::default() }));
        assert!(!pass(Filter { severity_threshold: 70.1, ..Filter::default() }));
        assert!(!pass(Filter { score_threshold: 4.1, ..Filter::default() }));
        assert!(pass(Filter { measures: vec!["x".into(), "clicks".into()], ..Filter::default() }));
        assert!(!pass(Filter { measures: vec!["x".into()], ..Filter::default() }));
        assert!(pass(Filter { kinds: vec![NoticeKind::Opened, NoticeKind::Resolved], ..Filter::default() }));
        assert!(!pass(Filter { kinds: vec![NoticeKind::Resolved], ..Filter::default() }));
        let learned = |filter: Filter| filter.lets_pass(&Notice { kind: NoticeKind::LevelShift, ..notice.clone() });
        assert!(!learned(Filter::default()) && learned(Filter { level_shifts: true, ..Filter::default() }));
        assert!(learned(Filter { kinds: vec![NoticeKind::LevelShift], ..Filter::default() }));
        for (wanted, passes) in [
            (dimensions(&[("shop", &["fr", "de"])]), true),
            (dimensions(&[("shop", &["de"]), ("kind", &["app"])]), true),
            // both are there, but not in one slice
            (dimensions(&[("shop", &["de"]), ("kind", &["web"])]), false),
            (dimensions(&[("country", &["de"])]), false),
        ] {
            assert_eq!(pass(Filter { dimensions: wanted, ..Filter::default() }), passes);
        }
    }

    #[test]
    fn a_notice_without_slices_passes_no_dimension_filter() {
        let filter = Filter { dimensions: vec![("shop".into(), vec!["us".into()])], ..Filter::default() };
        assert!(!filter.lets_pass(&notice("one", "thread")));
    }
}
