//! What the tests of this module tell of.

use chrono::NaiveDateTime;
use serde_json::json;

use super::revisions::{Revision, Status};
use crate::model::{
    AnomalyGroup, Cause, Contribution, Dimensions, Direction, Finding, Interval, Length, Notice, NoticeKind, RootCause,
    Share, SharesOf,
};

fn at(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(&format!("2024-03-04 {text}"), "%Y-%m-%d %H:%M").unwrap()
}

fn slice(pairs: &[(&str, &str)]) -> Dimensions {
    Dimensions::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// Two series that are low, one of them since the interval before.
pub(super) fn group() -> AnomalyGroup {
    let finding = Finding {
        id: "views-20240304-0425-0".into(),
        dimensions: slice(&[("shop", "a"), ("kind", "web")]),
        since: at("04:25"),
        value: Some(12.5),
        expected: 140.0,
        lower: 120.0,
        upper: 160.25,
        direction: Direction::Low,
        score: 5.25,
        severity: 81.5,
    };
    let silent = Finding {
        id: "views-20240304-0425-1".into(),
        dimensions: slice(&[("shop", "b"), ("kind", "web")]),
        since: at("04:20"),
        value: None,
        expected: 0.125,
        lower: 0.0,
        upper: 1.0,
        score: 2.0,
        severity: 40.0,
        ..finding.clone()
    };
    let share = |value: &str, share| Share { value: value.into(), share };
    AnomalyGroup {
        id: "views-20240304-0425".into(),
        measure: "views".into(),
        interval: Interval::starting(at("04:25"), Length::from_seconds(300).unwrap()).unwrap(),
        severity: 81.5,
        findings: vec![finding, silent],
        contributions: vec![
            Contribution { dimension: "shop".into(), values: vec![share("a", 0.99), share("b", 0.01)] },
            Contribution { dimension: "kind".into(), values: vec![share("web", 1.0)] },
        ],
        root_cause: RootCause {
            causes: vec![Cause { dimensions: slice(&[("kind", "web")]), share: 0.75, value: 12.5, expected: 140.125 }],
            unexplained: 0.25,
            external: false,
            shares_of: SharesOf::Net,
        },
    }
}

pub(super) fn revision(status: Status) -> Revision {
    Revision {
        id: "views-20240304-0425-0".into(),
        measure: "views".into(),
        interval_start: at("04:25"),
        interval_end: at("04:30"),
        dimensions: slice(&[("shop", "a"), ("kind", "web")]),
        status,
        revised_with: at("04:40"),
        since: at("04:20"),
        value_before: None,
        value: 130.0,
        expected: 140.0,
        lower: 120.0,
        upper: 160.0,
        direction: Direction::Low,
        severity_before: Some(80.0),
        severity: 3.0,
    }
}

/// A notice of these ids.
pub(super) fn notice(id: &str, thread: &str) -> Notice {
    Notice {
        id: id.into(),
        thread: thread.into(),
        kind: NoticeKind::Opened,
        time: at("04:25"),
        measures: vec!["views".into()],
        slices: Vec::new(),
        direction: Some(Direction::Low),
        severity: 81.5,
        score: 5.25,
        title: format!("title of {id}"),
        text: format!("text of {id}"),
        long_text: format!("long text of {id}"),
        body: json!({ "number": 1 }),
    }
}
