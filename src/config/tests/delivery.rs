//! `[[alert]]` and `[[deliver]]`: receivers, filters, formats.

use super::*;
use crate::alert::Tells;
use crate::model::{Notice, NoticeKind, Timestamp};

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
         [[alert]]\n[alert.elasticsearch]\nurl = 'http://h'\nindex = 'i'\napi_key = 'hush'\naws_service = 'es'\n[[alert]]\n[alert.elasticsearch]\nurl = 'https://hush@h/?hush'\nindex = 'i'\n\
         aws_service = 'aoss'\nregion = 'eu-west-1'\n[[deliver]]\n"
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
        "`alert[5].elasticsearch.url` has a user or a query, which a signed request cannot have",
        "`deliver[0]` has no receiver",
    ] {
        assert!(problems.contains(expected), "{expected}\nnot in\n{problems}");
    }
    assert!(!problems.contains("hush"), "{problems}");
}

#[test]
fn a_level_that_was_learned_is_told_to_those_who_hold_an_alert_open_and_to_others_on_demand() {
    let takes = |front: &str, section: &str| {
        let config = good(&format!("{GOOD}{front}[[alert]]\n{section}\n"));
        config.alerts[0].filter.lets_pass(&Notice {
            kind: NoticeKind::LevelShift,
            severity: 100.0,
            ..crate::alert::notice::test(Timestamp::MAX)
        })
    };
    let webhook = "[alert.webhook]\nurl = 'https://h/x'";
    let pagerduty = format!("format = 'pagerduty'\nrouting_key = 'k'\n{webhook}");
    let alertmanager = "[alert.alertmanager]\nurl = 'http://h:9093'";
    let mail = "[alert.smtp]\nhost = 'mail'\nfrom = 'a@b.de'\nto = 'c@d.de'";
    for (section, usual) in [("", false), (webhook, false), (mail, false), (&pagerduty, true), (alertmanager, true)] {
        assert_eq!(takes("", section), usual, "{section}");
        assert!(takes("[incident]\ntell_level_shift = true\n", section), "{section}");
        assert!(takes("", &format!("kinds = ['opened', 'level_shift']\n{section}")), "{section}");
        assert!(!takes("", &format!("kinds = ['opened', 'resolved']\n{section}")), "{section}");
    }
}

#[test]
fn zero_is_no_lower_threshold_where_all_records_are_told_and_yet_asks_for_every_one() {
    let tells = |of_job: &str, of_route: &str| {
        let detect =
            format!("[detect]\ninput = 'records'\n[detect.records]\nscore_threshold = {of_job}\noutput = 'all'");
        good(&format!("{GOOD}{detect}\n[[deliver]]\n{of_route}\n[deliver.stdout]\n")).deliveries[0].tells
    };
    assert_eq!(tells("0", "score_threshold = 0"), Tells::EveryRecord);
    assert_eq!(tells("0", ""), Tells::Records, "nothing is asked for");
    assert_eq!(tells("0", "score_threshold = 0.5"), Tells::Records);
}
