//! An event of `PagerDuty`'s Events API v2. The thread is the key by which it joins events, so what is over resolves what
//! was opened.

use serde_json::{Value, json};

use super::{About, instant, ours};
use crate::alert::secret::Secret;
use crate::model::{Notice, NoticeKind};

/// A longer key is refused.
const KEY_CHARACTERS_MAX: usize = 255;
/// An event of more than 512 kB is refused.
const DETAILS_BYTES_MAX: usize = 400_000;

pub(super) fn event(key: &Secret, notice: &Notice, about: &About) -> Value {
    let dedup_key: String = notice.thread.chars().take(KEY_CHARACTERS_MAX).collect();
    let mut event = json!({
        "routing_key": key.reveal(),
        "event_action": action(notice.kind),
        "dedup_key": dedup_key,
        "client": "tidewatch",
        "payload": {
            "summary": notice.title,
            "source": about.route,
            "severity": severity(notice.severity),
            "timestamp": instant(notice, about.zone).to_string(),
            "component": notice.measures.first(),
            "custom_details": details(notice),
        },
    });
    if let (Some(description), Some(payload)) = (&about.description, event["payload"].as_object_mut()) {
        payload.insert("group".into(), description.clone().into());
    }
    event
}

/// The body, or, where it makes the event too large to be taken, what it comes to.
fn details(notice: &Notice) -> Value {
    let all = ours(notice);
    if all.to_string().len() <= DETAILS_BYTES_MAX {
        return all;
    }
    json!({ "notice_id": notice.id, "notice_kind": notice.kind.name(), "notice_thread": notice.thread, "text": notice.text })
}

fn action(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Resolved | NoticeKind::LevelShift | NoticeKind::Withdrawn => "resolve",
        NoticeKind::Opened
        | NoticeKind::Updated
        | NoticeKind::Reminder
        | NoticeKind::Raised
        | NoticeKind::Digest
        | NoticeKind::Record => "trigger",
    }
}

/// The four steps that it knows.
fn severity(severity: f64) -> &'static str {
    match severity {
        90.0.. => "critical",
        70.0.. => "error",
        50.0.. => "warning",
        _ => "info",
    }
}
