//! Numbers as people read them, wherever a number is put into words.

/// A measured value with four significant digits at least: `1234.5`, `0.01235`.
pub fn show_value(number: f64) -> String {
    let size = number.abs();
    if size >= 1000.0 && number.fract() == 0.0 && size < 1e15 {
        return format!("{number:.0}");
    }
    match size {
        _ if size == 0.0 => "0".into(),
        _ if !(1e-4..1e12).contains(&size) => format!("{number:.3e}"),
        _ if size >= 100.0 => format!("{number:.1}"),
        _ if size >= 1.0 => format!("{number:.2}"),
        _ => format!("{number:.5}"),
    }
}
