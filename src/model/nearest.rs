//! The name that a misspelt one most likely means, for hints.

/// Texts less alike than this are no hint.
const SIMILARITY_MIN: f64 = 0.6;

/// The one of `names` that is most like `given`, if one is like it at all.
pub fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let alike = |name: &str| strsim::normalized_damerau_levenshtein(&given, &name.to_lowercase());
    let best = names.map(|name| (alike(name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(similarity, _)| *similarity >= SIMILARITY_MIN).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let names = ["stream_batch_time", "batch_records_max", "state"];
        let near = |given| nearest(given, names.into_iter());
        assert_eq!(near("stream_batch_tme"), Some("stream_batch_time"));
        assert_eq!(near("State"), Some("state"));
        assert_eq!(near("colour"), None);
        assert_eq!(nearest("state", std::iter::empty()), None);
    }
}
