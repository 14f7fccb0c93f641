//! How one of Amazon's services is reached: the same keys in `[source.kinesis]` and `[store.s3]`.

use std::path::PathBuf;

use super::raw::Section;
use crate::aws;

/// How one of Amazon's services is reached.
pub(super) fn aws(section: &Section<'_>) -> Option<aws::Settings> {
    let endpoint_url = section.text("endpoint_url");
    let is_url = |url: &&String| {
        url.split_once("://").is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && !host.is_empty())
    };
    if let Some(url) = endpoint_url.as_ref().filter(|url| !is_url(url)) {
        section.problem("endpoint_url", &format!("is `{url}`, allowed is `https://host` or `http://host:port`"));
    }
    let ca_bundle = section.text("ca_bundle").map(PathBuf::from);
    let settings = aws::Settings { endpoint_url, ca_bundle, ..identity(section) };
    if let Err(error) = settings.certificates() {
        section.problem("ca_bundle", &error.to_string());
    }
    Some(settings)
}

/// Who asks, and in which region.
pub(super) fn identity(section: &Section<'_>) -> aws::Settings {
    let role_arn = section.text("role_arn");
    if let Some(role) = role_arn.as_ref().filter(|role| !role.starts_with("arn:")) {
        section
            .problem("role_arn", &format!("is `{role}`; hint: for example `arn:aws:iam::123456789012:role/tidewatch`"));
    }
    aws::Settings {
        region: section.text("region"),
        profile: section.text("profile"),
        role_arn,
        ..aws::Settings::default()
    }
}
