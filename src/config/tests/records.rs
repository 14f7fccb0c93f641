//! `[detect.records]`, and who is told of records.

use super::*;
use crate::alert::Tells;

#[test]
fn records_are_scored_by_ours_or_by_the_defaults_of_a_preset() {
    use crate::detect::records::{Scaling, Shape};
    let records = |text: &str| good(&format!("{GOOD}[detect]\ninput = 'records'\n{text}")).detect.records.unwrap();
    let ours = records("");
    assert_eq!((ours.columns.as_slice(), ours.per_key, ours.attribution), (&["views".to_owned()][..], true, true));
    assert_eq!((ours.output, ours.choice.top_per_second), (RecordsOutput::Anomalies, None));
    assert_eq!(ours.shape, Shape { trees: 50, sample: 256, shingle: 1, time_decay: 2560, ready_after: 64 });
    let peer = records("preset = 'kinesis-analytics'\n");
    assert_eq!(peer.shape, Shape { trees: 100, sample: 256, shingle: 1, time_decay: 100_000, ready_after: 256 });
    assert_eq!((peer.scaling, peer.per_key), (Scaling::None, false));
    let peer = records("preset = 'opensearch'\n");
    assert_eq!(peer.shape, Shape { trees: 50, sample: 256, shingle: 8, time_decay: 2560, ready_after: 40 });
    assert_eq!((peer.scaling, peer.per_key), (Scaling::Normalize, true));
    assert_eq!(records("preset = 'lookout'\n").shape, Shape { ready_after: 300, ..ours.shape });
    let own = records(
        "preset = 'kinesis-analytics'\n[detect.records]\ntrees = 30\nscale = 'normalize'\nper_key = true\n\
         score_threshold = 1\ntop_per_second = 3\noutput = 'all'\nattribution = false\n",
    );
    assert_eq!((own.shape.trees, own.shape.time_decay, own.scaling), (30, 100_000, Scaling::Normalize));
    assert_eq!(
        (own.choice.score_threshold, own.choice.top_per_second.map(std::num::NonZeroUsize::get)),
        (1.0, Some(3))
    );
    assert_eq!((own.output, own.per_key, own.attribution), (RecordsOutput::All, true, false));
    // where intervals are judged, a preset is about the forests of series
    let forest = |preset: &str| {
        let detect = good(&format!("{GOOD}[detect]\n{preset}")).detect;
        (detect.forest.trees, detect.forest.sample, detect.forest.shingle, detect.forest.time_decay)
    };
    assert_eq!(forest("preset = 'kinesis-analytics'\n"), (100, 256, 1, 100_000));
    assert_eq!(forest("preset = 'opensearch'\ntrees = 40\n"), (40, 256, 8, 2560));
    assert_eq!((forest(""), forest("preset = 'lookout'\n")), ((30, 256, 4, 2560), (30, 256, 4, 2560)));
}

#[test]
fn every_record_goes_to_those_who_ask_for_lower_scores_where_all_are_written() {
    let text = |output: &str, threshold: &str| {
        let detect = format!("[detect]\ninput = 'records'\n[detect.records]\nscore_threshold = 2\n{output}");
        format!(
            "{GOOD}{detect}\n[[deliver]]\n{threshold}\n[deliver.stdout]\n[[hook]]\nstage = 'after'\n{threshold}\ncommand = ['x']\n"
        )
    };
    let told = |output: &str, threshold: &str| {
        let config = good(&text(output, threshold));
        assert!(config.deliveries.len() == 2 && config.alerts.iter().all(|route| route.tells != Tells::Records));
        config.deliveries.iter().map(|route| route.tells).collect::<Vec<_>>()
    };
    assert_eq!(told("output = 'all'", "score_threshold = 0"), [Tells::EveryRecord; 2]);
    assert_eq!(told("output = 'all'", "score_threshold = 1.5"), [Tells::EveryRecord; 2]);
    assert_eq!(told("output = 'all'", ""), [Tells::Records; 2], "as `[detect.records]` has it");
    assert_eq!(told("output = 'all'", "score_threshold = 3"), [Tells::Records; 2]);
    assert_eq!(told("", "score_threshold = 0"), [Tells::Records; 2]);
    let problems = problems(&text("", "score_threshold = 1.5")).join("\n");
    let expected =
        "`deliver[0].score_threshold` is `1.5`, and no score below `detect.records.score_threshold`, 2, is told";
    assert!(problems.contains(expected) && problems.contains("`hook[0].score_threshold`"), "{problems}");
}

#[test]
fn all_that_is_wrong_with_records_is_told_at_once() {
    let select = GOOD.replace("[\"views\"]", "[\"views\", \"bytes\"]\nkeep = [\"ANOMALY_SCORE\"]");
    let said = problems(&format!(
        "{select}[detect]\ninput = 'records'\npreset = 'kinesis'\nsensitivity = 0.1\nshingle = 2\n\
         [detect.records]\ncolumns = ['vievs', 'bytes', 'bytes']\ntrees = 300\nscale = 'normalise'\nready_after = 0\n\
         score_threshold = -1\ntop_per_second = 0\noutput = 'none'\nthreshold = 1\n[[detect.measure]]\ncolumn = 'views'\n"
    ));
    for expected in [
        "`detect.preset` is `kinesis`, allowed is `kinesis-analytics` or `opensearch` or `lookout`",
        "`detect.sensitivity` is for `input = \"intervals\"`; hint: set `detect.records.score_threshold`",
        "`detect.shingle` is for `input = \"intervals\"`; hint: set `detect.records.shingle`",
        "`detect.measure` is for `input = \"intervals\"`; hint: name the columns in `detect.records.columns`",
        "`detect.records.columns` names `vievs`, which is not among `select.measures`; hint: did you mean `views`?",
        "`detect.records.columns` names `bytes` twice",
        "`detect.records` writes a column `ANOMALY_SCORE` of its own",
        "`detect.records.trees` is `300`, allowed is a whole number from 1 to 253",
        "`detect.records.scale` is `normalise`, allowed is `none` or `normalize`; hint: did you mean `normalize`?",
        "`detect.records.ready_after` is `0`, allowed is",
        "`detect.records.score_threshold` is `-1`, allowed is a number from 0 to 1000",
        "`detect.records.top_per_second` is `0`, allowed is",
        "`detect.records.output` is `none`, allowed is `anomalies` or `all`",
        "`detect.records.threshold` is unknown",
    ] {
        assert!(said.iter().any(|problem| problem.contains(expected)), "{expected}\nnot in\n{}", said.join("\n"));
    }
    assert_eq!(said.len(), 14, "{}", said.join("\n"));
    let of = |text: &str| problems(&format!("{GOOD}[detect]\n{text}"));
    let alone = of("[detect.records]\ntrees = 20\n");
    assert!(alone.len() == 1 && alone[0].contains("`detect.records` is for `detect.input = \"records\"`"), "{alone:?}");
    let decay = of("input = 'records'\n[detect.records]\nsample = 100\ntime_decay = 100\n");
    assert!(decay.len() == 1 && decay[0].contains("the sample of 100 records is not smaller"), "{decay:?}");
    let none = of("input = 'records'\n[detect.records]\ncolumns = []\n");
    assert!(none.len() == 1 && none[0].contains("`detect.records.columns` has 0 columns"), "{none:?}");
}
