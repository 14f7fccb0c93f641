//! The table of a receiver: `[alert.webhook]`, `[alert.file]` and so on, of which a route has one at most.

use std::path::PathBuf;

use super::aws::{aws, identity};
use super::raw::Section;
use super::units::{DAY, MB, SECOND, usize_of};
use crate::alert::Secret;
use crate::alert::receiver::{
    self, Address, Alertmanager, Elasticsearch, Encryption, File, Header, Kinesis, Lambda, Login, Rotation, S3,
    SearchService, Settings, Smtp, Sns, Url, Webhook,
};
use crate::source::kinesis::StreamName;
use crate::store::Place;

/// The receiver of a route, if it has one; the error has been noted.
pub(super) fn receiver(route: &Section<'_>) -> Result<Option<Settings>, ()> {
    type Parse = fn(&Section<'_>) -> Option<Settings>;
    let kinds: [(&'static str, Parse); 10] = [
        ("stdout", stdout),
        ("file", file),
        ("s3", s3),
        ("kinesis", kinesis),
        ("sns", sns),
        ("lambda", lambda),
        ("webhook", webhook),
        ("smtp", smtp),
        ("elasticsearch", elasticsearch),
        ("alertmanager", alertmanager),
    ];
    let sections = kinds.map(|(kind, parse)| (kind, route.section(kind), parse));
    let given: Vec<_> = sections.iter().filter(|(_, section, _)| section.is_present()).collect();
    if let [_, _, ..] = &given[..] {
        let names: Vec<String> = given.iter().map(|(kind, _, _)| format!("`{kind}`")).collect();
        let names = names.join(" and ");
        route.section_problem(&format!("has the receivers {names}, allowed is one; hint: write a section for each"));
    }
    let mut receivers = Vec::new();
    for (_, section, parse) in given {
        receivers.push(parse(section).ok_or(()));
        section.finish();
    }
    receivers.into_iter().next().transpose()
}

fn stdout(_: &Section<'_>) -> Option<Settings> {
    Some(Settings::Stdout)
}

fn file(section: &Section<'_>) -> Option<Settings> {
    let path = section.required_text("path", "\"alerts.jsonl\"")?;
    Some(Settings::File(File { path: PathBuf::from(path) }))
}

fn webhook(section: &Section<'_>) -> Option<Settings> {
    let url = url(section, "url", "\"https://example.com/hook\"");
    let headers = headers(section);
    let secret = section.text("secret").map(Secret::new);
    let ca_bundle = ca_bundle(section);
    Some(Settings::Webhook(Box::new(Webhook { url: url?, headers: headers?, secret, ca_bundle })))
}

fn s3(section: &Section<'_>) -> Option<Settings> {
    let url = section.required_text("url", "\"s3://bucket/alerts\"").filter(|url| !url.is_empty());
    let place = url.as_deref().map(Place::parse);
    if let Some(Err(error)) = place {
        section.problem("url", &error.to_string());
    }
    let buffer_bytes = usize_of(section.size("buffer_bytes", 5 * MB, MB..=128 << 20));
    let buffer_time = section.duration("buffer_time", 300 * SECOND, 60 * SECOND..=900 * SECOND);
    let own = ["region", "profile", "role_arn", "endpoint_url", "ca_bundle"].into_iter().any(|key| section.has(key));
    let aws = aws(section).filter(|_| own);
    Some(Settings::S3(Box::new(S3 { url: url?, buffer_bytes, buffer_time, aws })))
}

fn kinesis(section: &Section<'_>) -> Option<Settings> {
    let stream = section.required_text("stream", "\"alerts\"").filter(|stream| !stream.is_empty());
    if let Some(Err(error)) = stream.as_deref().map(StreamName::parse) {
        section.problem("stream", &error.to_string());
    }
    let aws = aws(section);
    Some(Settings::Kinesis(Box::new(Kinesis { stream: stream?, aws: aws? })))
}

fn sns(section: &Section<'_>) -> Option<Settings> {
    let topic_arn = section.required_text("topic_arn", "\"arn:aws:sns:eu-central-1:123456789012:alerts\"");
    if let Some(arn) = topic_arn.as_ref().filter(|arn| arn.split(':').count() != 6 || !arn.starts_with("arn:")) {
        let example = "arn:aws:sns:eu-central-1:123456789012:alerts";
        section.problem("topic_arn", &format!("is `{arn}`; hint: for example `{example}`"));
    }
    let is_plain = section.choice("message_structure", false, &[("json", false), ("plain", true)]);
    let aws = aws(section);
    Some(Settings::Sns(Box::new(Sns { topic_arn: topic_arn?, is_plain, aws: aws? })))
}

fn lambda(section: &Section<'_>) -> Option<Settings> {
    let function = section.required_text("function", "\"on-alert\"").filter(|function| !function.is_empty());
    let is_event = section.choice("invocation", false, &[("request_response", false), ("event", true)]);
    let aws = aws(section);
    Some(Settings::Lambda(Box::new(Lambda { function: function?, is_event, aws: aws? })))
}

fn smtp(section: &Section<'_>) -> Option<Settings> {
    let host = section.required_text("host", "\"mail.example.com\"").filter(|host| !host.is_empty());
    let port = section.has("port").then(|| section.integer("port", 587, 1..=65_535));
    let port = port.and_then(|port| u16::try_from(port).ok());
    let choices = [("starttls", Encryption::StartTls), ("tls", Encryption::Tls), ("none", Encryption::None)];
    let encryption = section.choice("encryption", Encryption::StartTls, &choices);
    let login = login(section);
    let address =
        |key, text: &String| Address::parse(text).map_err(|error| section.problem(key, &error.to_string())).ok();
    let from = section.required_text("from", "\"Shop <shop@example.com>\"").and_then(|from| address("from", &from));
    let to = section.texts("to");
    if to.is_empty() {
        section.missing("to", "[\"on-call@example.com\"]");
    }
    let to: Option<Vec<Address>> = to.iter().map(|to| address("to", to)).collect();
    Some(Settings::Smtp(Box::new(Smtp { host: host?, port, encryption, login, from: from?, to: to? })))
}

fn elasticsearch(section: &Section<'_>) -> Option<Settings> {
    let url = url(section, "url", "\"https://search.example.com:9200\"");
    let index = section.required_text("index", "\"anomalies\"").filter(|index| !index.is_empty());
    let is_bad = |c: char| c.is_uppercase() || c.is_control() || " \"*\\<|,>/?#:".contains(c);
    if let Some(index) =
        index.as_ref().filter(|index| index.contains(is_bad) || index.starts_with(['-', '_', '+', '.']))
    {
        section.problem("index", &format!("is `{index}`, allowed are lower-case letters, digits, `-`, `_` and `.`"));
    }
    let rotations = [
        ("none", Rotation::None),
        ("hour", Rotation::Hour),
        ("day", Rotation::Day),
        ("week", Rotation::Week),
        ("month", Rotation::Month),
    ];
    let rotation = section.choice("rotation", Rotation::None, &rotations);
    let is_create = section.choice("operation", false, &[("index", false), ("create", true)]);
    let login = search_login(section);
    let is_signed = matches!(login, Login::Signed(..));
    if is_signed && url.as_ref().is_some_and(Url::has_more_than_a_place) {
        section.problem("url", "has a user or a query, which a signed request cannot have");
    }
    let ca_bundle = ca_bundle(section);
    let settings = Elasticsearch { url: url?, index: index?, rotation, is_create, login, ca_bundle };
    Some(Settings::Elasticsearch(Box::new(settings)))
}

/// Who asks an index: nobody, a user, a key or Amazon's credentials.
fn search_login(section: &Section<'_>) -> Login {
    let services = [("none", None), ("es", Some(SearchService::Domain)), ("aoss", Some(SearchService::Serverless))];
    let service = section.choice("aws_service", None, &services);
    let aws = identity(section);
    let api_key = section.text("api_key").map(Secret::new);
    let user = login(section);
    if service.is_none() {
        for key in ["region", "profile", "role_arn"].into_iter().filter(|key| section.has(key)) {
            section.problem(key, "is for a request that is signed; hint: add `aws_service = \"es\"`");
        }
    }
    match (service, user, api_key) {
        (Some(service), None, None) => Login::Signed(service, Box::new(aws)),
        (Some(_), _, _) => {
            section.problem("aws_service", "is for one without `username`, `password` and `api_key`");
            Login::None
        }
        (None, Some(_), Some(_)) => {
            section.problem("api_key", "is for one without `username` and `password`");
            Login::None
        }
        (None, Some((user, password)), None) => Login::Basic(user, password),
        (None, None, Some(key)) => Login::ApiKey(key),
        (None, None, None) => Login::None,
    }
}

fn alertmanager(section: &Section<'_>) -> Option<Settings> {
    let url = url(section, "url", "\"http://alertmanager.example.com:9093\"");
    let labels = section.section("labels").entries();
    let labels: Vec<(String, String)> =
        labels.into_iter().map(|(name, values)| (name, values.into_iter().next().unwrap_or_default())).collect();
    let is_name = |name: &str| {
        let is_start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        is_start && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for (name, _) in labels.iter().filter(|(name, _)| !is_name(name)) {
        section.problem("labels", &format!("has `{name}`, allowed are letters, digits and `_`"));
    }
    let resolve_after = section.duration("resolve_after", DAY, 60 * SECOND..=30 * DAY);
    let headers = headers(section);
    let ca_bundle = ca_bundle(section);
    let settings = Alertmanager { url: url?, labels, resolve_after, headers: headers?, ca_bundle };
    Some(Settings::Alertmanager(Box::new(settings)))
}

/// User and password, of which neither is without the other.
fn login(section: &Section<'_>) -> Option<(String, Secret)> {
    match (section.text("username"), section.text("password")) {
        (Some(user), Some(password)) => Some((user, Secret::new(password))),
        (Some(_), None) if !section.has("password") => {
            section.missing("password", "\"${PASSWORD}\"");
            None
        }
        (None, Some(_)) if !section.has("username") => {
            section.missing("username", "\"tidewatch\"");
            None
        }
        _ => None,
    }
}

/// What is wrong with a url is told without it: it may hold a key.
fn url(section: &Section<'_>, key: &'static str, example: &str) -> Option<Url> {
    let text = section.required_text(key, example).filter(|text| !text.is_empty())?;
    Url::parse(&text).map_err(|error| section.problem(key, &error.to_string())).ok()
}

fn headers(section: &Section<'_>) -> Option<Vec<Header>> {
    let entries = section.section("headers").entries();
    let header = |(name, values): (String, Vec<String>)| {
        let value = values.first().map(String::as_str).unwrap_or_default();
        Header::new(&name, value).map_err(|error| section.problem("headers", &error.to_string())).ok()
    };
    let headers: Vec<Option<Header>> = entries.into_iter().map(header).collect();
    headers.into_iter().collect()
}

fn ca_bundle(section: &Section<'_>) -> Option<PathBuf> {
    let path = section.text("ca_bundle").map(PathBuf::from)?;
    if let Err(error) = receiver::certificates(&path) {
        section.problem("ca_bundle", &error.to_string());
    }
    Some(path)
}
