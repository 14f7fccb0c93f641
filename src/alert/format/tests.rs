//! Each shape against what its receivers expect, written out.

use serde_json::{Value, json};

use super::*;
use crate::alert::notice;
use crate::alert::tests::{group, notice as plain, revision};
use crate::model::NoticeKind;

fn about() -> About {
    About {
        route: "on-call".into(),
        description: Some("the shop".into()),
        zone: Zone::from_name("Europe/Berlin").unwrap(),
    }
}

fn json_of(format: &Format, notice: &Notice) -> Value {
    let bytes = format.payload(notice, &about());
    assert!(!bytes.contains(&b'\n'), "JSON is on one line");
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn ours_has_expected_value_band_direction_and_id() {
    let told = json_of(&Format::Tidewatch, &notice::of_group(&group()));
    assert_eq!(told["notice_id"], "views-20240304-0425");
    assert_eq!(told["notice_kind"], "opened");
    assert_eq!(told["notice_thread"], "views-since-20240304-042000");
    assert_eq!(told["interval_start"], "2024-03-04 04:25:00");
    let finding = &told["findings"][0];
    assert_eq!(
        (&finding["expected"], &finding["lower"], &finding["upper"]),
        (&json!(140.0), &json!(120.0), &json!(160.25))
    );
    assert_eq!(finding["direction"], "low");
    let bare = Notice { body: json!(7), ..plain("one", "t") };
    let told = json_of(&Format::Tidewatch, &bare);
    assert_eq!((&told["body"], &told["notice_id"]), (&json!(7), &json!("one")));
}

#[test]
fn lookout_has_the_members_of_its_alerts() {
    let names = Lookout {
        detector_arn: "arn:aws:lookoutmetrics:us-east-2:123456789012:AnomalyDetector:shop".into(),
        alert_arn: "arn:aws:lookoutmetrics:us-east-2:123456789012:Alert:on-call".into(),
        console_url: "https://example.com/shop".into(),
    };
    let told = json_of(&Format::Lookout(names), &notice::of_group(&group()));
    let expected = json!({
        "alertName": "on-call",
        "alertEventId": "arn:aws:lookoutmetrics:us-east-2:123456789012:Alert:on-call:event/views-20240304-0425",
        "anomalyDetectorArn": "arn:aws:lookoutmetrics:us-east-2:123456789012:AnomalyDetector:shop",
        "alertArn": "arn:aws:lookoutmetrics:us-east-2:123456789012:Alert:on-call",
        "alertDescription": "the shop",
        "impactedMetric": {
            "metricName": "views",
            "dimensionContribution": [
                { "dimensionName": "shop", "dimensionValueContributions": [
                    { "dimensionValue": "a", "valueContribution": 99.0 },
                    { "dimensionValue": "b", "valueContribution": 1.0 },
                ] },
                { "dimensionName": "kind", "dimensionValueContributions": [
                    { "dimensionValue": "web", "valueContribution": 100.0 },
                ] },
            ],
            "relevantTimeSeries": [
                { "timeSeriesId": "views/kind=web/shop=a", "metricValue": 12.5, "dimensions": [
                    { "dimensionName": "kind", "dimensionValue": "web" },
                    { "dimensionName": "shop", "dimensionValue": "a" },
                ] },
                { "timeSeriesId": "views/kind=web/shop=b", "metricValue": null, "dimensions": [
                    { "dimensionName": "kind", "dimensionValue": "web" },
                    { "dimensionName": "shop", "dimensionValue": "b" },
                ] },
            ],
        },
        // 04:25 in Berlin
        "timestamp": "2024-03-04T03:25Z[UTC]",
        "anomalyScore": 81.5,
        "consoleUrl": "https://example.com/shop",
    });
    assert_eq!(told, expected);
}

#[test]
fn lookout_says_what_it_can_of_a_notice_without_findings() {
    let told = notice::of_revision(&revision(crate::alert::Status::Withdrawn)).unwrap();
    let told = json_of(&Format::Lookout(Lookout::default()), &told);
    assert_eq!(told["alertEventId"], "views-20240304-0425-0-withdrawn-20240304-044000");
    let series = &told["impactedMetric"]["relevantTimeSeries"];
    assert_eq!((&series[0]["metricValue"], series.as_array().unwrap().len()), (&json!(130.0), 1));
    assert_eq!(told["impactedMetric"]["dimensionContribution"], json!([]));
}

#[test]
fn slack_shows_title_and_text_and_escapes_them() {
    let told = Notice { title: "a <b> & c".into(), long_text: "x < y\n```".into(), ..plain("one", "t") };
    let expected = json!({
        "text": "a &lt;b&gt; &amp; c",
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": "a <b> & c" } },
            { "type": "section", "text": { "type": "mrkdwn", "text": "```x &lt; y\n'''```" } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": "opened · one · severity 82" }] },
        ],
    });
    assert_eq!(json_of(&Format::Slack, &told), expected);
    let long = Notice { long_text: "0123456789\n".repeat(1000), ..told };
    let text = json_of(&Format::Slack, &long)["blocks"][1]["text"]["text"].as_str().unwrap().chars().count();
    assert!((2500..=3000).contains(&text), "{text}");
}

#[test]
fn pagerduty_joins_by_thread_and_resolves() {
    let format = Format::Pagerduty(Secret::new("key"));
    let told = json_of(&format, &plain("one", "thread"));
    let expected = json!({
        "routing_key": "key",
        "event_action": "trigger",
        "dedup_key": "thread",
        "client": "tidewatch",
        "payload": {
            "summary": "title of one",
            "source": "on-call",
            "severity": "error",
            "timestamp": "2024-03-04T03:25:00Z",
            "component": "views",
            "group": "the shop",
            "custom_details": { "number": 1, "notice_id": "one", "notice_kind": "opened", "notice_thread": "thread" },
        },
    });
    assert_eq!(told, expected);
    let large = Notice { body: json!({ "text": "x".repeat(500_000) }), ..plain("one", "thread") };
    let told = json_of(&format, &large);
    assert_eq!(told["payload"]["custom_details"]["notice_id"], "one");
    assert!(told.to_string().len() < 10_000, "an event that is too large is refused");
    for (kind, action) in [
        (NoticeKind::Updated, "trigger"),
        (NoticeKind::Resolved, "resolve"),
        (NoticeKind::Withdrawn, "resolve"),
        (NoticeKind::LevelShift, "resolve"),
    ] {
        let told = json_of(&format, &Notice { kind, ..plain("two", "thread") });
        assert_eq!((&told["event_action"], &told["dedup_key"]), (&json!(action), &json!("thread")));
    }
}

#[test]
fn csv_quotes_what_it_must() {
    let told = Notice { title: "a, \"b\"\nc".into(), ..notice::of_group(&group()) };
    let mut text = Format::Csv.header().unwrap();
    text.push(b'\n');
    text.extend(Format::Csv.payload(&told, &about()));
    let mut rows = csv::Reader::from_reader(&text[..]);
    let header = rows.headers().unwrap().clone();
    let row = rows.records().next().unwrap().unwrap();
    let of = |name: &str| &row[header.iter().position(|column| column == name).unwrap()];
    assert_eq!((of("id"), of("kind"), of("time")), ("views-20240304-0425", "opened", "2024-03-04 04:25:00"));
    assert_eq!((of("slices"), of("direction")), ("shop=a, kind=web; shop=b, kind=web", "low"));
    assert_eq!((of("severity"), of("score"), of("title")), ("81.5", "5.25", "a, \"b\"\nc"));
    let body: Value = serde_json::from_str(of("body")).unwrap();
    assert_eq!(body["findings"][0]["upper"], 160.25);
    assert_eq!(Format::Tidewatch.header(), None);
}

#[test]
fn text_is_for_people_and_ends_with_the_id() {
    let told = Format::Text.payload(&plain("one", "t"), &about());
    assert_eq!(String::from_utf8(told).unwrap(), "title of one\nlong text of one\nid one");
}

#[test]
fn a_template_is_filled() {
    let text = r#"{"who": {{route|json}}, "what": {{ title | json }}, "low": {{body.findings.0.lower}}, "x": "{{body.y.z}}", "n": {{body.y|json}}, "at": "{{instant}}"}"#;
    let format = Format::Template(Template::parse(text).unwrap());
    assert_eq!(format.content_type(), "application/json");
    let told = Notice { title: "a \"b\"".into(), ..notice::of_group(&group()) };
    let expected = json!({
        "who": "on-call", "what": "a \"b\"", "low": 120.0, "x": "", "n": null, "at": "2024-03-04T03:25:00Z",
    });
    assert_eq!(json_of(&format, &told), expected);
    let plain_text = Template::parse("{{kind}}: {{title}}").unwrap();
    assert_eq!(plain_text.fill(&plain("one", "t"), &about()), "opened: title of one");
    assert_eq!(plain_text.content_type(), "text/plain; charset=utf-8");
}

#[test]
fn a_template_is_checked() {
    assert_eq!(Template::parse("a {{id"), Err(TemplateError::Open));
    let error = |text: &str| Template::parse(text).unwrap_err().to_string();
    assert_eq!(error("{{titel}}"), "has `{{titel}}`; hint: did you mean `title`?");
    assert!(error("{{}}").contains("known are id, thread"), "{}", error("{{}}"));
    assert!(error("{{title|html}}").contains("after `|` there is `json`"));
    assert!(error("{{body.}}").contains("did you mean `body`?"));
}
