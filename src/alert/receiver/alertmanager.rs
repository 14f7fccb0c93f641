//! Prometheus Alertmanager, through its API of version 2. An alert is known by its labels, so those are the same in all
//! notices of one thread, and what changes (severity, text) is in annotations. What is over ends the alert now; all else
//! lets it last until `resolve_after`, unless it is told again.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::Client;
use serde_json::{Map, Value, json};

use super::http::{Header, Url, ask, client};
use super::{Limits, Outcome, Receiver, ReceiverError, Writes, in_halves};
use crate::alert::format::instant;
use crate::model::{Notice, NoticeKind, Timestamp};

const NOTICES_MAX: usize = 100;
const BYTES_MAX: usize = 1_000_000;

/// Where it is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the server; `/api/v2/alerts` is put behind it.
    pub url: Url,
    /// Further labels of every alert.
    pub labels: Vec<(String, String)>,
    /// How long an alert lasts that nobody ends.
    pub resolve_after: Duration,
    /// Further headers.
    pub headers: Vec<Header>,
    /// Certificates that are trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
}

pub(super) struct Alertmanager {
    client: Client,
    settings: Settings,
    writes: Writes,
    timeout: Duration,
}

impl Alertmanager {
    pub(super) fn open(settings: &Settings, writes: Writes, timeout: Duration) -> Result<Alertmanager, ReceiverError> {
        let client = client(timeout, settings.ca_bundle.as_ref())?;
        Ok(Alertmanager { client, settings: settings.clone(), writes, timeout })
    }

    fn alert(&self, notice: &Notice, now: Option<Timestamp>) -> Value {
        let start = instant(notice, self.writes.about.zone);
        let is_over = matches!(notice.kind, NoticeKind::Resolved | NoticeKind::LevelShift | NoticeKind::Withdrawn);
        let lasts = i64::try_from(self.settings.resolve_after.as_micros()).unwrap_or(i64::MAX);
        let end = now.map(|now| if is_over { now.max(start) } else { now.saturating_add_micros(lasts) });
        let mut labels: Map<String, Value> =
            self.settings.labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        labels.entry("alertname").or_insert_with(|| "TidewatchAnomaly".into());
        labels.insert("route".into(), self.writes.about.route.clone().into());
        labels.insert("thread".into(), notice.thread.clone().into());
        if let Some(measure) = notice.measures.first() {
            labels.insert("measure".into(), measure.clone().into());
        }
        json!({
            "labels": labels,
            "annotations": {
                "summary": notice.title,
                "description": notice.long_text,
                "severity": format!("{:.0}", notice.severity),
                "kind": notice.kind.name(),
                "notice_id": notice.id,
            },
            "startsAt": start.to_string(),
            "endsAt": end.map(|end| end.to_string()),
        })
    }

    /// What became of them, and whether they should be cut: one alert that is refused refuses its whole request.
    async fn send(&self, notices: &[&Notice], now: Timestamp) -> (Vec<Outcome>, bool) {
        let alerts: Vec<Value> = notices.iter().map(|notice| self.alert(notice, Some(now))).collect();
        let mut request = self.client.post(self.settings.url.joined("api/v2/alerts"));
        for header in &self.settings.headers {
            request = header.add(request);
        }
        let body = Value::from(alerts).to_string();
        let outcome = match ask(request.header("content-type", "application/json").body(body), now).await {
            Ok(answer) => answer.outcome(),
            Err(outcome) => outcome,
        };
        let is_refused = matches!(outcome, Outcome::Refused(_));
        (vec![outcome; notices.len()], is_refused)
    }
}

impl Receiver for Alertmanager {
    fn limits(&self) -> Limits {
        Limits { notices: NOTICES_MAX, bytes: BYTES_MAX, one_by_one: false, buffer: None }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.alert(notice, None).to_string().into_bytes()
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        let receiver = &*self;
        Box::pin(in_halves(notices, receiver.timeout, move |part| receiver.send(part, now)))
    }
}
