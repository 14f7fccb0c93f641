//! The name that a misspelt one is nearest to.

/// Texts less alike than this are no hint.
const SIMILARITY_MIN: f64 = 0.6;

/// A hint line at the nearest of `names`, or nothing.
pub(super) fn hint(name: &str, names: &[String]) -> String {
    let alike = |other: &String| strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let best = names.iter().map(|other| (alike(other), other)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((similarity, other)) if similarity >= SIMILARITY_MIN => format!("\nhint: did you mean `{other}`?"),
        _ => String::new(),
    }
}
