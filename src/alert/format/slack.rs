//! A message of Slack's incoming webhooks: the title as a header, the text as it is, the id below. `text` is what
//! notifications and other servers that know this shape show.

use serde_json::{Value, json};

use crate::model::Notice;

/// A section holds so many characters, of which the frame takes some.
const SECTION_CHARACTERS_MAX: usize = 2900;

pub(super) fn message(notice: &Notice) -> Value {
    let id = format!("{} · {} · severity {:.0}", notice.kind.name(), notice.id, notice.severity);
    json!({
        "text": escaped(&notice.title),
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": notice.title } },
            { "type": "section", "text": { "type": "mrkdwn", "text": format!("```{}```", body(&notice.long_text)) } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": escaped(&id) }] },
        ],
    })
}

/// Whole lines that fit; what ends the frame is no part of them.
fn body(text: &str) -> String {
    let text = escaped(&text.replace("```", "'''"));
    if text.chars().count() <= SECTION_CHARACTERS_MAX {
        return text;
    }
    let mut left = SECTION_CHARACTERS_MAX;
    let fits = |line: &&str| {
        let characters = line.chars().count() + 1;
        let is_room = characters <= left;
        left = left.saturating_sub(characters);
        is_room
    };
    let lines: Vec<&str> = text.lines().take_while(fits).collect();
    format!("{}\n…", lines.join("\n"))
}

/// The three characters that Slack takes for its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
