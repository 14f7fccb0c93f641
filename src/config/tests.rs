//! Configurations as users write them: good ones, and every way to get one wrong.

use super::*;
use crate::alert::Tells;

const GOOD: &str = r#"
[source.files]
path = "data/*.jsonl"
[select]
timestamp = "at"
dimensions = ["shop"]
measures = ["views"]
[partition]
url = "out/x"
"#;

fn environment(name: &str) -> Option<String> {
    (name == "BUCKET").then(|| "out/from-env".to_owned())
}

fn good(text: &str) -> Config {
    parse(text, &environment).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(text: &str) -> Vec<String> {
    parse(text, &environment).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn little_has_to_be_said() {
    let config = good(GOOD);
    assert_eq!(config.interval.length.seconds(), 300);
    assert_eq!(config.job.state, "out/x/state");
    assert_eq!(&*config.detect.measures[0].name, "views");
}

#[test]
fn environment_variables_are_put_in() {
    let config = good(&GOOD.replace("out/x", "${BUCKET}/y"));
    assert_eq!(config.partition.url, "out/from-env/y");
    let missing = problems(&GOOD.replace("out/x", "${NOWHERE}"));
    assert_eq!(missing, ["line 9: `partition.url` names the environment variable `NOWHERE`, which is not set"]);
}

#[test]
fn all_problems_are_told_at_once_with_line_value_and_hint() {
    let text = r#"
[job]
stream_batch_tme = "60s"
stream_batch_time = "60"
[source.files]
follow = "yes"
[select]
timestamp = "at"
timezone = "Europe/Berln"
dimensions = ["shop", "at"]
measures = ["views"]
[select.types]
view = "integer"
[interval]
length = "7m"
close = "watermrk"
[partition]
url = "s4://bucket"
format = "orc"
[[detect.measure]]
column = "viewz"
aggregation = "median"
[[alert]]
severity_threshold = 101
[detekt]
seed = 1
"#;
    let problems = problems(text);
    for expected in [
        "line 3: `job.stream_batch_tme` is unknown; hint: did you mean `stream_batch_time`?",
        "line 4: `job.stream_batch_time` is `60`, allowed is a duration from \"100ms\" to \"1d\", such as \"1m\"",
        "`source.files.path` is missing; hint: for example `path = \"data/*.jsonl.gz\"`",
        "line 6: `source.files.follow` is `yes`, allowed is `true` or `false`",
        "line 9: `select.timezone` `Europe/Berln` is not a time zone; hint: did you mean `Europe/Berlin`?",
        "names column `at` twice",
        "has `view`, which is no measure; hint: did you mean `views`?",
        "line 15: `interval.length` 420 s does not divide a day into equal parts",
        "line 16: `interval.close` is `watermrk`, allowed is `watermark` or `end`; hint: did you mean `watermark`?",
        "line 18: `partition.url` `s4://bucket` is not a place for objects",
        "line 19: `partition.format` is `orc`, allowed is `csv` or `parquet`",
        "`detect.measure[0].column` is `viewz`, which is not among `select.measures`; hint: did you mean `views`?",
        "`detect.measure[0].aggregation` is `median`, allowed is `sum` or",
        "line 24: `alert[0].severity_threshold` is `101`, allowed is a number from 0 to 100",
        "line 25: `detekt` is unknown; hint: did you mean `detect`?",
    ] {
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{expected}\nnot in\n{}",
            problems.join("\n")
        );
    }
    assert_eq!(problems.len(), 15, "{}", problems.join("\n"));
}

#[test]
fn what_is_not_toml_is_said_with_its_line() {
    let problems = problems("[job]\nname = \n");
    assert!(problems[0].starts_with("line 2: `file` is not TOML:"), "{}", problems[0]);
}

#[test]
fn there_is_exactly_one_source() {
    let two = format!("{GOOD}[source.stdin]\n");
    assert!(problems(&two)[0].contains("needs exactly one of"), "{:?}", problems(&two));
    let none = GOOD.replace("[source.files]\npath = \"data/*.jsonl\"", "");
    assert!(problems(&none)[0].contains("needs exactly one of"), "{:?}", problems(&none));
}

#[test]
fn what_must_be_there_is_not_empty_and_output_lies_apart_from_input() {
    let empty = problems(&GOOD.replace("\"at\"", "\"\"").replace("[\"views\"]", "[]"));
    assert!(empty.iter().any(|problem| problem.contains("`select.timestamp` is empty")), "{empty:?}");
    assert!(empty.iter().any(|problem| problem.contains("`select.measures` is missing")), "{empty:?}");
    let inside = problems(&GOOD.replace("data/*.jsonl", "out"));
    assert!(inside[0].contains("`source.files.path` is a directory that holds `out/x`"), "{inside:?}");
}

#[test]
fn csv_keys_belong_to_csv() {
    let json = format!("{GOOD}[decode]\ndelimiter = \";\"\n");
    assert_eq!(problems(&json), ["line 11: `decode.delimiter` is for `format = \"csv\"` alone"]);
    good(&format!("{GOOD}[decode]\nformat = \"csv\"\ndelimiter = \";\"\nheader = [\"at\", \"shop\", \"views\"]\n"));
}

#[test]
fn a_bucket_is_a_place_and_says_how_it_is_reached() {
    use crate::store::{Addressing, Encryption};
    let text = GOOD.replace("out/x", "s3://shop/out/");
    let config = good(&text);
    assert_eq!((config.partition.url.as_str(), config.job.state.as_str()), ("s3://shop/out/", "s3://shop/out/state"));
    assert_eq!(format!("{:?}", config.store), format!("{:?}", crate::store::Settings::default()));
    let config = good(&format!(
        "{text}[store.s3]\nregion = 'eu-central-1'\nendpoint_url = 'http://127.0.0.1:9000'\npath_style = false\n\
         encryption = 'aws:kms'\nkms_key = 'alias/shop'\nbucket_key = true\npart_bytes = '8MiB'\n"
    ));
    assert_eq!(config.store.addressing, Addressing::Host);
    assert_eq!(config.store.encryption, Encryption::Kms { key: Some("alias/shop".into()), bucket_key: true });
    assert_eq!((config.store.part_bytes, config.store.aws.region.as_deref()), (8 << 20, Some("eu-central-1")));
}

#[test]
fn all_that_is_wrong_with_a_bucket_is_told_at_once() {
    let text = GOOD.replace("out/x", "s3://shop/a//b");
    let problems = problems(&format!(
        "{text}[job]\nstate = 's3:///state'\n[store.s3]\nendpoint_url = 'localhost:9000'\nrole_arn = 'tidewatch'\n\
         ca_bundle = '/nowhere.pem'\nencryption = 'AES-256'\nkms_key = 'alias/shop'\npart_bytes = '1MB'\nbucket = 'x'\n"
    ));
    for expected in [
        "`partition.url` `s3://shop/a//b` is not a place for objects",
        "`job.state` `s3:///state` is not a place for objects",
        "`store.s3.endpoint_url` is `localhost:9000`, allowed is",
        "`store.s3.role_arn` is `tidewatch`; hint: for example",
        "`store.s3.ca_bundle` `/nowhere.pem` cannot be read",
        "`store.s3.encryption` is `AES-256`, allowed is `none` or `AES256` or `aws:kms`; hint: did you mean `AES256`?",
        "`store.s3.kms_key` is for `encryption = \"aws:kms\"` alone",
        "`store.s3.part_bytes` is `1MB`, allowed is a size from",
        "`store.s3.bucket` is unknown",
    ] {
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{expected}\nnot in\n{}",
            problems.join("\n")
        );
    }
    assert_eq!(problems.len(), 9, "{}", problems.join("\n"));
}

#[test]
fn what_is_not_to_be_told_is_read() {
    use crate::detect::{Margin, Sides};
    let detect = |text: &str| good(&format!("{GOOD}{text}")).detect;
    let plain = detect("[[detect.measure]]\ncolumn = 'views'\n");
    assert_eq!((plain.measures[0].margin, plain.measures[0].is_counter), (Margin::NONE, false));
    let ruled = detect(
        "[[detect.measure]]\ncolumn = 'views'\nmin_change = 5\nmin_change_ratio = 0.25\ndirection = 'low'\n\
         [[detect.measure]]\ncolumn = 'views'\naggregation = 'max'\ncounter = true\n",
    );
    assert_eq!(ruled.measures[0].margin, Margin::new(5.0, 0.25, Sides::Low).unwrap());
    assert_eq!((&*ruled.measures[1].name, ruled.measures[1].is_counter), ("views_increase", true));
}

#[test]
fn what_is_wrong_with_margins_is_told() {
    let wrong = problems(&format!(
        "{GOOD}[[detect.measure]]\ncolumn = 'views'\nmin_change = -1\nmin_change_ratio = 1e3\ndirection = 'hihg'\n\
         counter = true\nmin_chnge = 1\n"
    ));
    assert_eq!(
        wrong,
        [
            "line 12: `detect.measure[0].min_change` is `-1`, allowed is a number from 0 to 1000000000000000",
            "line 13: `detect.measure[0].min_change_ratio` is `1e3`, allowed is a number from 0 to 100",
            "line 14: `detect.measure[0].direction` is `hihg`, allowed is `both` or `high` or `low`; \
             hint: did you mean `high`?",
            "line 15: `detect.measure[0].counter` is for the largest value of an interval, not for `sum`; \
             hint: set `aggregation = \"max\"`",
            "line 16: `detect.measure[0].min_chnge` is unknown; hint: did you mean `min_change`?",
        ]
    );
}

#[test]
fn calendars_are_days_windows_and_weeks() {
    use crate::detect::{Calendar, Stretch, Weekly};
    use crate::model::{Timestamp, Zone};
    let at = |text: &str| {
        let instant = chrono::DateTime::parse_from_rfc3339(text).unwrap();
        Timestamp::from_micros(instant.timestamp_micros()).unwrap()
    };
    let stretch = |from: &str, to: &str| Stretch::new(at(from), at(to)).unwrap();
    let calendars = |text: &str| good(&format!("{GOOD}{text}")).detect.calendars;
    let berlin = "[interval]\ntimezone = 'Europe/Berlin'\n";

    // quoted, or as TOML writes dates; in the zone of the intervals, or its own
    let days = calendars(&format!(
        "{berlin}[[detect.calendar]]\nname = 'a'\ndates = ['2026-07-01', 2026-10-25]\n\
         [[detect.calendar]]\nname = 'b'\ndates = '2026-07-01'\ntimezone = 'UTC'\neffect = 'ignore'\n"
    ));
    let july = stretch("2026-06-30T22:00:00Z", "2026-07-01T22:00:00Z");
    let long = stretch("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    let utc = stretch("2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z");
    assert_eq!(days, [Calendar::new("a", vec![july, long]).unwrap(), Calendar::new("b", vec![utc]).unwrap()]);

    for (from, to) in [
        ("'2026-07-01 10:00'", "'2026-07-01 12:30'"),
        ("'2026-07-01T10:00'", "2026-07-01T12:30:00"),
        ("2026-07-01T08:00:00Z", "'2026-07-01T12:30:00+02:00'"),
    ] {
        let text = format!("{berlin}[[detect.calendar]]\nname = 'w'\nfrom = {from}\nto = {to}\n");
        let window = stretch("2026-07-01T08:00:00Z", "2026-07-01T10:30:00Z");
        assert_eq!(calendars(&text), [Calendar::new("w", vec![window]).unwrap()], "{from} {to}");
    }

    let weeks = calendars(
        "[[detect.calendar]]\nname = 'w'\nweekly = ['sat 22:00-sun 24:00', 'Mon 00:00 - mon 00:30']\n\
         from = '2026-07-01 00:00'\ndimensions = { shop = ['a', 'b'] }\n",
    );
    let weekly = vec![Weekly::new((5 * 24 + 22) * 60, 0).unwrap(), Weekly::new(0, 30).unwrap()];
    let within = Stretch::new(at("2026-07-01T00:00:00Z"), Timestamp::MAX).unwrap();
    let week = Calendar::weekly("w", weekly, Zone::UTC, within).unwrap();
    assert_eq!(weeks, [week.only(vec![("shop".into(), vec!["a".into(), "b".into()])])]);
}

#[test]
fn what_is_wrong_with_calendars_is_told() {
    let wrong = |text: &str| {
        let problems = problems(&format!("{GOOD}[[detect.calendar]]\n{text}\n"));
        let short = |problem: &String| {
            let (line, rest) = problem.split_once(": ").unwrap();
            assert!(line.starts_with("line 1"), "{problem}");
            rest.replace("detect.calendar[0].", "")
        };
        problems.iter().map(short).collect::<Vec<_>>()
    };
    let time = "which is no time; hint: for example \"2026-12-24 18:00\", local, or \"2026-12-24T18:00:00Z\"; \
                whole days are `dates`";
    let at_all = "`detect.calendar[0]` has no time; hint: give it `dates`, or `from` and `to`, or `weekly`";
    let allowed = "allowed are two weekdays (mon to sun) with times, such as \"sat 22:00-sun 04:00\"";
    for (text, expected) in [
        ("name = 'a'", vec![at_all.to_owned()]),
        ("dates = '2026-12-25'", vec!["`name` is missing; hint: for example `name = \"holidays\"`".to_owned()]),
        (
            "name = 'a'\ndates = ['2026-02-30', '26-1-1']",
            ["2026-02-30", "26-1-1"]
                .map(|date| format!("`dates` has `{date}`, which is no date; hint: for example \"2026-12-25\""))
                .to_vec(),
        ),
        ("name = 'a'\ndates = []", vec!["`dates` is empty; hint: fill it, or leave it out".to_owned()]),
        (
            "name = 'a'\nfrom = '2026-12-24 18:00'",
            vec!["`to` is missing; hint: for example `to = \"2026-12-24 18:00\"`".to_owned()],
        ),
        (
            "name = 'a'\nfrom = '2026-12-24 18:00'\nto = '2026-12-24 17:00'",
            vec![
                "`to` ends at 2026-12-24T17:00:00Z, which is not after its begin at 2026-12-24T18:00:00Z; \
                 hint: swap them, or choose a later end"
                    .to_owned(),
            ],
        ),
        (
            "name = 'a'\nfrom = '2026-12-24 18:00'\nto = '2026-12-24T18:00:00Z'",
            vec![
                "`to` ends at 2026-12-24T18:00:00Z, which is not after its begin at 2026-12-24T18:00:00Z; \
                 hint: swap them, or choose a later end"
                    .to_owned(),
            ],
        ),
        (
            "name = 'a'\nfrom = '2026-12-24'\nto = 'soon'",
            vec![format!("`from` is `2026-12-24`, {time}"), format!("`to` is `soon`, {time}")],
        ),
        (
            "name = 'a'\nweekly = ['sat 22:00', 'sat 25:00-sun 04:00', 'mon 1:00-mon 02:00']",
            ["sat 22:00", "sat 25:00-sun 04:00", "mon 1:00-mon 02:00"]
                .map(|text| format!("`weekly` has `{text}`, {allowed}"))
                .to_vec(),
        ),
        (
            "name = 'a'\nweekly = 'mon 00:00-sun 24:00'",
            vec![
                "`weekly` has `mon 00:00-sun 24:00`, which ends where it begins; hint: write it as two, such as \
                 `mon 00:00-thu 00:00` and `thu 00:00-mon 00:00`"
                    .to_owned(),
            ],
        ),
        (
            "name = 'a'\ndates = '2026-12-25'\nweekly = 'sat 22:00-sun 04:00'",
            vec!["`weekly` stands beside `dates`; hint: make two calendars of them".to_owned()],
        ),
        (
            "name = 'a'\ndates = '2026-12-25'\ndimensions = { shpo = ['a'], shop = [] }",
            vec![
                "`dimensions` names `shpo`, which is not among `select.dimensions`; hint: did you mean `shop`?"
                    .to_owned(),
                "`dimensions` has `shop` with no value, which would ignore nothing".to_owned(),
            ],
        ),
        (
            "name = 'a'\ndates = '2026-12-25'\ntimezone = 'Europe/Berln'\neffect = 'mute'\ndate = '2026-12-26'",
            vec![
                "`timezone` `Europe/Berln` is not a time zone; hint: did you mean `Europe/Berlin`?".to_owned(),
                "`effect` is `mute`, allowed is `ignore`".to_owned(),
                "`date` is unknown; hint: did you mean `dates`?".to_owned(),
            ],
        ),
    ] {
        let mut said = wrong(text);
        let mut expected = expected;
        said.sort();
        expected.sort();
        assert_eq!(said, expected, "{text}");
    }
    let twice = "[[detect.calendar]]\nname = 'a'\ndates = '2026-12-25'\n".repeat(2);
    let twice = problems(&format!("{GOOD}{twice}"));
    assert!(
        twice.len() == 1 && twice[0].contains("has two calendars named `a`; hint: give one another `name`"),
        "{twice:?}"
    );
}

#[test]
fn hooks_behind_the_line_get_what_is_judged() {
    let hook = "[[hook]]\nstage = 'after'\ncommand = 'save'\n";
    let config = good(&format!("{hook}{GOOD}"));
    assert_eq!((config.hooks.len(), config.alerts.len(), config.deliveries.len()), (0, 1, 0));
    assert_eq!((config.alerts[0].name.as_str(), config.alerts[0].filter.severity_threshold), ("hook", 0.0));
    let config = good(&format!("{hook}{GOOD}[detect]\ninput = 'records'\n"));
    assert_eq!((config.hooks.len(), config.alerts.len(), config.deliveries.len()), (0, 0, 1));
}

#[test]
fn hooks_are_programs_or_endpoints() {
    let with = |hooks: &str| format!("{hooks}\n{GOOD}");
    let config = good(&with(
        "[[hook]]\nstage = 'before'\ncommand = 'clean'\n[[hook]]\nstage = 'before'\nname = 'far'\n\
         url = 'http://127.0.0.1/x'\nheaders = { Authorization = '${BUCKET}' }\ntimeout = '1s'\nretries = 0",
    ));
    let names: Vec<&str> = config.hooks.iter().map(|hook| &*hook.name).collect();
    assert_eq!(names, ["hook-1", "far"]);
    assert_eq!((config.hooks[0].retries, config.hooks[1].retries), (3, 0));
    let shown = format!("{config:?}");
    assert!(shown.contains("Authorization: ***") && !shown.contains("out/from-env"), "{shown}");
    let problems = problems(&with(
        "[[hook]]\ncommand = ['a']\nurl = 'http://b'\n[[hook]]\nstage = 'beside'\nurl = 'ftp://b'\nretries = 101\n\
         [[hook]]\nstage = 'before'\ncommand = []\nheaders = { a = 'b' }\n[[hook]]\nstage = 'before'\n\
         name = 'hook-1'\ncommand = ['a']\nin_flite = 2\nregion = 'eu-west-1'\n[[hook]]\nstage = 'before'\nfunction = ''\n[[hook]]\n\
         stage = 'before'\nname = 'b'\ncommand = 'a'\nkinds = 'opened'\n[[hook]]\nstage = 'after'\ncommand = 'a'\n\
         measures = 'viewz'\nin_flight = 3",
    ));
    for expected in [
        "`hook[0].stage` is missing; hint: for example `stage = \"before\"`",
        "`hook[0]` needs exactly one of `command`, `url` and `function`",
        "`hook[1].stage` is `beside`, allowed is `before` or `after`",
        "`hook[1].url` is no url, allowed is `https://host/path`",
        "`hook[1].retries` is `101`, allowed is a whole number from 0 to 100",
        "`hook[2].command` is empty; hint: a program and its arguments",
        "`hook[2].headers` is for `url` alone",
        "`hook[3].in_flite` is unknown; hint: did you mean `in_flight`?",
        "`hook[3].region` is for `function` alone",
        "`hook[4].function` is empty",
        "`hook[5].kinds` is for `stage = \"after\"` alone",
        "`hook[6].measures` names `viewz`, which is not a measure; hint: did you mean `views`?",
        "`hook[6].in_flight` is for `stage = \"before\"` alone",
        "`hook[3]` has the name `hook-1` of an earlier hook",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:#?}");
    }
}

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

#[test]
fn a_generator_reads_the_keys_of_its_kind() {
    let generator =
        |text: &str| GOOD.replace("[source.files]\npath = \"data/*.jsonl\"", &format!("[source.generator]\n{text}"));
    for kind in ["ecommerce", "stock-trades", "clickstream", "iot-sensor"] {
        good(&generator(&format!("kind = '{kind}'\nseed = 3\nanomaly_probability = 0.1\nspeed = 10\n")));
    }
    let template = r#"'''{"at": "{{date.utc}}",
 "shop": "{{random.arrayElement(["a","b"])}}", "views": {{random.number(9)}}}'''"#;
    good(&generator(&format!("kind = 'template'\ntemplate = {template}\nduration = '10s'\nrate = 2\n")));
    let of = |text: &str| problems(&generator(text));
    for (text, expected) in [
        (
            "kind = 'stocktrades'\n",
            "`source.generator.kind` is `stocktrades`, allowed is `ecommerce` or `stock-trades`",
        ),
        (
            "kind = 'stock-trades'\ndays = 3\n",
            "`source.generator.days` is not for `kind = \"stock-trades\"`; hint: use `duration`",
        ),
        ("rate = 3\n", "`source.generator.rate` is not for `kind = \"ecommerce\"`; hint: use `days`"),
        ("template = 'x'\n", "`source.generator.template` is for `kind = \"template\"` alone"),
        ("kind = 'template'\n", "`source.generator.template` is missing; hint:"),
        (
            "kind = 'template'\ntemplate = '{{random.nmber}}'\n",
            "`source.generator.template` has the function `random.nmber`, which is not known; hint: did you mean",
        ),
        ("kind = 'iot-sensor'\nrate = 0\n", "`source.generator.rate` is `0`, allowed is a number from 0.001"),
    ] {
        let said = of(text);
        assert!(said.len() == 1 && said[0].contains(expected), "{expected}\nnot in\n{}", said.join("\n"));
    }
}

#[test]
fn every_receiver_is_understood() {
    let receivers = [
        ("stdout", "[alert.stdout]"),
        ("file", "[alert.file]\npath = 'alerts.csv'"),
        ("s3", "[alert.s3]\nurl = 's3://b/p'\nbuffer_bytes = '1MB'\nbuffer_time = '60s'"),
        ("kinesis", "[alert.kinesis]\nstream = 'alerts'\nregion = 'eu-central-1'"),
        ("sns", "[alert.sns]\ntopic_arn = 'arn:aws:sns:eu-central-1:123456789012:alerts'\nmessage_structure = 'plain'"),
        ("lambda", "[alert.lambda]\nfunction = 'on-alert'\ninvocation = 'event'"),
        ("webhook", "[alert.webhook]\nurl = 'https://h/x'\nsecret = 's'\nheaders = { A = 'b' }"),
        ("smtp", "[alert.smtp]\nhost = 'mail'\nfrom = 'a@b.de'\nto = 'c@d.de'\nusername = 'u'\npassword = 'p'"),
        ("elasticsearch", "[alert.elasticsearch]\nurl = 'https://h'\nindex = 'i'\nrotation = 'week'\napi_key = 'k'"),
        ("alertmanager", "[alert.alertmanager]\nurl = 'http://h:9093'\nlabels = { team = 'shop' }"),
    ];
    for (kind, receiver) in receivers {
        let config = good(&format!("{GOOD}[[alert]]\n{receiver}\n[[alert]]\n{receiver}\n"));
        let names: Vec<&str> = config.alerts.iter().map(|route| &*route.name).collect();
        assert_eq!(names, [kind, &format!("{kind}-2")]);
        assert_eq!(config.alerts[0].delivery.as_ref().unwrap().receiver.kind(), kind);
        let config = good(&format!("{GOOD}[[deliver]]\n{}\n", receiver.replace("alert.", "deliver.")));
        assert_eq!((config.deliveries.len(), config.deliveries[0].filter.severity_threshold), (1, 0.0));
    }
}

#[test]
fn a_route_is_told_all_that_is_wrong_with_it_and_no_secret() {
    let text = format!(
        "{GOOD}[[alert]]\nname = 'on call'\nmeasures = 'view'\ndimensions = {{ shap = 'a', shop = [] }}\n\
         kinds = ['open']\nformat = 'pagerduty'\n[alert.webhook]\nurl = 'ftp://hush'\nheaders = {{ 'a b' = 'hush' }}\n\
         secrit = 1\n[[alert]]\ntemplate = '{{{{titel}}}}'\n[alert.stdout]\n[alert.file]\n[[alert]]\nformat = 'text'\n\
         [[alert]]\nformat = 'csv'\n[alert.elasticsearch]\nurl = 'http://h'\nindex = 'UP'\nusername = 'u'\nregion = 'r'\n\
         [[alert]]\n[alert.elasticsearch]\nurl = 'http://h'\nindex = 'i'\napi_key = 'hush'\naws_service = 'es'\n[[deliver]]\n"
    );
    let problems = problems(&text).join("\n");
    for expected in [
        "`alert[0].name` is `on call`, allowed are up to 64 letters",
        "`alert[0].measures` names `view`, which is not a measure; hint: did you mean `views`?",
        "`alert[0].dimensions` names `shap`, which is not a dimension; hint: did you mean `shop`?",
        "`alert[0].dimensions` has `shop` with no value",
        "`alert[0].kinds` names `open`; hint: did you mean `opened`?",
        "`alert[0].routing_key` is missing",
        "`alert[0].webhook.url` is not a url",
        "`alert[0].webhook.headers` `a b` is not the name of a header",
        "`alert[0].webhook.secrit` is unknown; hint: did you mean `secret`?",
        "`alert[1].template` has `{{titel}}`; hint: did you mean `title`?",
        "`alert[1]` has the receivers `stdout` and `file`, allowed is one",
        "`alert[1].file.path` is missing",
        "`alert[2].format` is for a receiver, and there is none",
        "`alert[3].elasticsearch.index` is `UP`, allowed are lower-case letters",
        "`alert[3].elasticsearch.password` is missing",
        "`alert[3].elasticsearch.region` is for a request that is signed; hint: add `aws_service = \"es\"`",
        "`alert[4].elasticsearch.aws_service` is for one without `username`, `password` and `api_key`",
        "`alert[3].format` is not for `elasticsearch`",
        "`deliver[0]` has no receiver",
    ] {
        assert!(problems.contains(expected), "{expected}\nnot in\n{problems}");
    }
    assert!(!problems.contains("hush"), "{problems}");
}
