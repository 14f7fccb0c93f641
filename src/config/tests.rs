//! Configurations as users write them: good ones, and every way to get one wrong.

mod calendars;
mod delivery;
mod hooks;
mod records;

use super::*;

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
