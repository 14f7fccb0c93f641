//! Words of a SQL text. The dialect of Kinesis Analytics has statements (pumps, cursors, `SELECT STREAM`) that common SQL
//! parsers refuse, and little of the rest of SQL matters here.

/// A word with the line it stands in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name or a key word without quotes, in upper case: the dialect makes no difference.
    Word(String),
    /// A name in double quotes, as it is.
    Name(String),
    /// A text in single quotes.
    Text(String),
    Number(String),
    /// One or two characters.
    Symbol(&'static str),
}

impl Kind {
    /// As it would be written.
    pub(super) fn shown(&self) -> String {
        match self {
            Kind::Word(word) | Kind::Number(word) => word.clone(),
            Kind::Name(name) => format!("\"{name}\""),
            Kind::Text(text) => format!("'{text}'"),
            Kind::Symbol(symbol) => (*symbol).to_owned(),
        }
    }
}

const SYMBOLS: [&str; 21] =
    ["<>", "<=", ">=", "!=", "||", "=", "<", ">", "(", ")", ",", ".", ";", "*", "/", "+", "-", "%", "?", "[", "]"];

/// Takes a text apart; comments and blanks are left out.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let line_of = |rest: &str| text[..text.len() - rest.len()].matches('\n').count() + 1;
    while let Some(first) = rest.chars().next() {
        let line = line_of(rest);
        let open = |what: &str| format!("line {line}: {what} is not closed");
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |at| &rest[at..]);
            continue;
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = &comment[comment.find("*/").ok_or_else(|| open("a comment"))? + 2..];
            continue;
        }
        let kind = if first == '\'' || first == '"' {
            let (inner, after) = quoted(&rest[1..], first).ok_or_else(|| open("a quote"))?;
            rest = after;
            if first == '"' { Kind::Name(inner) } else { Kind::Text(inner) }
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            rest = after;
            Kind::Number(number.to_owned())
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            Kind::Word(word.to_ascii_uppercase())
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            rest = &rest[symbol.len()..];
            Kind::Symbol(symbol)
        } else {
            return Err(format!("line {line}: `{first}` is not understood"));
        };
        tokens.push(Token { kind, line });
    }
    Ok(tokens)
}

/// The inside of a quote, whose doubled quotes are one, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut inner = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            inner.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            inner.push(quote);
        } else {
            return Some((inner, &text[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart() {
        let shown = |text: &str| tokens(text).map(|all| all.iter().map(|t| t.kind.shown()).collect::<Vec<_>>());
        let text = "-- c\nselect \"a\"\"b\" /* x\n */ <> 'it''s' 1.5;";
        assert_eq!(shown(text).unwrap(), ["SELECT", "\"a\"b\"", "<>", "'it's'", "1.5", ";"]);
        assert_eq!(tokens("a\n\nb").unwrap()[1].line, 3);
        assert_eq!(shown("a\n'b").unwrap_err(), "line 2: a quote is not closed");
        assert_eq!(shown("/* b").unwrap_err(), "line 1: a comment is not closed");
        assert_eq!(shown("a #").unwrap_err(), "line 1: `#` is not understood");
    }
}
