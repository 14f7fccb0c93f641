//! Incidents, episodes and what is wrong with labels.

use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use super::*;
use crate::model::Direction;

fn length() -> Length {
    Length::from_seconds(300).unwrap()
}

fn point(key: &str, number: i64, flagged: bool) -> Point {
    let interval = Interval::containing(number * 300_000_000, length());
    let state = match flagged {
        true => PointState::Anomalous { direction: Direction::High, since: interval },
        false => PointState::Normal,
    };
    let (expected, lower, upper, score, severity) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (key, measure) = (SeriesKey::new([key]), Arc::from("views"));
    Point { interval, key, measure, value: Some(0.0), expected, lower, upper, score, severity, state }
}

fn labels(text: &str) -> Labels {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{text}").unwrap();
    Labels::read(file.path(), &["shop".into()], &["views".into()], length()).unwrap()
}

#[test]
fn incidents_are_found_and_episodes_are_true_or_false() {
    let labels = labels(
        "shop,start,end\n\
         a,1970-01-01 00:25:00,1970-01-01 00:50:00\n\
         a,1970-01-01 02:00:00,1970-01-01 02:01:00\n\
         b,1970-01-01 00:25:00,1970-01-01 00:30:00\n\
         a,1980-01-01 00:00:00,1980-01-01 00:05:00\n",
    );
    let mut scorer = Scorer::default();
    for number in 0..100 {
        // a: intervals 7 and 8 of the incident 5..10, on to 11, and one false alarm; b: nothing
        scorer.add(&[point("a", number, [7, 8, 9, 10, 11, 50].contains(&number)), point("b", number, false)]);
    }
    let score = scorer.score(&labels, length());
    assert_eq!((score.incidents, score.found, score.episodes, score.false_episodes), (3, 1, 2, 1));
    assert_eq!(score.delay_median, Some(2));
    let near = |figure: Option<f64>, expected: f64| (figure.unwrap() - expected).abs() < 1e-12;
    assert!(near(score.recall(), 1.0 / 3.0) && near(score.precision(), 0.5) && near(score.f1(), 0.4));
    assert_eq!((score.while_learning, score.unknown), (0, None));
}

#[test]
fn what_is_wrong_with_labels_is_said() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "start,end,shop\nsoon,later,a").unwrap();
    let error =
        |dimension: &str| Labels::read(file.path(), &[dimension.into()], &[], length()).unwrap_err().to_string();
    assert!(error("shop").contains("line 2: `soon` is not a time"), "{}", error("shop"));
    assert!(error("place").contains("no column `place`"), "{}", error("place"));
}

#[test]
fn a_label_that_ends_before_it_begins_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "start,end,shop\n1970-01-01 00:25:00,1970-01-01 00:30:00,a").unwrap();
    for (start, end) in [("00:30:00", "00:25:00"), ("00:30:00", "00:30:00")] {
        let mut file = file.reopen().unwrap();
        file.seek(std::io::SeekFrom::End(0)).unwrap();
        writeln!(file, "1970-01-01 {start},1970-01-01 {end},a").unwrap();
    }
    let error = Labels::read(file.path(), &["shop".into()], &["views".into()], length()).unwrap_err();
    assert!(matches!(error, LabelsError::Order { line: 3, .. }), "{error}");
    assert!(
        error.to_string().contains("`1970-01-01 00:25:00` is not after the start `1970-01-01 00:30:00`"),
        "{error}"
    );
}

#[test]
fn labels_of_an_unknown_series_are_missed_and_named() {
    let unknown = |text: &str| {
        let mut scorer = Scorer::default();
        (0..100).for_each(|number| scorer.add(&[point("berlin", number, false), point("paris", number, false)]));
        let score = scorer.score(&labels(text), length());
        assert_eq!((score.found, score.while_learning, score.recall()), (0, 0, Some(0.0)));
        (score.incidents, score.unknown.unwrap())
    };
    let (all, wrong) = unknown(
        "start,end,shop,measure\n\
         1970-01-01 02:00:00,1970-01-01 02:10:00,paris,views\n\
         1970-01-01 02:00:00,1970-01-01 02:10:00,paris,vievs\n\
         1970-01-01 01:00:00,1970-01-01 01:10:00,berlin,vievs\n",
    );
    assert_eq!((all, wrong.incidents, wrong.line), (3, 2, 3));
    assert_eq!(wrong.series, "shop=paris, measure=vievs");
    assert_eq!(wrong.hint, "`vievs` is no measure, did you mean `views`?");
    let (all, wrong) = unknown("start,end,shop\n1970-01-01 02:00:00,1970-01-01 02:10:00,rome\n");
    assert_eq!((all, wrong.incidents, wrong.line), (1, 1, 2));
    assert_eq!(wrong.hint, "`rome` is no value of `shop`; there are `berlin`, `paris`");
}

#[test]
fn where_there_is_nothing_to_measure_there_is_no_figure() {
    let mut scorer = Scorer::default();
    (0..100).for_each(|number| scorer.add(&[point("a", number, false)]));
    let later = "start,end,shop\n1980-01-01 00:00:00,1980-01-01 00:05:00,a\n";
    let score = scorer.score(&labels(later), length());
    assert_eq!((score.recall(), score.precision(), score.f1()), (None, None, None));
    assert_eq!(score.false_per_series_week(), Some(0.0));
    let nothing = Scorer::default().score(&labels(later), length());
    assert_eq!(nothing.false_per_series_week(), None);
}

#[test]
fn the_median_of_an_even_number_of_delays_is_the_lower_one() {
    let mut scorer = Scorer::default();
    for number in 0..100 {
        // delays 1 and 4
        scorer.add(&[point("a", number, [11, 24].contains(&number))]);
    }
    let text = "start,end,shop\n\
                1970-01-01 00:50:00,1970-01-01 01:15:00,a\n\
                1970-01-01 01:40:00,1970-01-01 02:05:00,a\n";
    assert_eq!(scorer.score(&labels(text), length()).delay_median, Some(1));
}

#[test]
fn without_labels_every_episode_counts_as_an_alert() {
    let mut scorer = Scorer::default();
    for number in 0..2016 {
        scorer.add(&[point("a", number, [7, 8, 50].contains(&number))]);
    }
    let score = scorer.score(&Labels::none(), length());
    assert_eq!((score.incidents, score.episodes, score.false_episodes), (0, 2, 2));
    assert!((score.false_per_series_week().unwrap() - 2.0).abs() < 1e-12);
    assert_eq!((score.recall(), score.f1()), (None, None));
}
