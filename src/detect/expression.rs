//! Expressions over measures: `100 * clicks / impressions`. Numbers, names, the four operations, parentheses, `min(a, b)`
//! and `max(a, b)`; a name that is no word is written in backticks.
//!
//! Not a library: what the registry has is under a licence that would bind the whole program, unmaintained for years, or
//! computes powers and logarithms with the platform's mathematics, whose last bit differs between machines (D1). The four
//! operations have the same bits everywhere, and a tree of our own tells a ratio from other expressions, which is what its
//! root cause needs. Nothing here panics, whatever the text: length and depth are bounded.
//!
//! ```text
//! sum      = product { ("+" | "-") product }
//! product  = factor { ("*" | "/") factor }
//! factor   = "-" factor | number | name | ("min" | "max") "(" sum "," sum ")" | "(" sum ")"
//! ```

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

/// Longest text, in bytes.
const BYTES_MAX: usize = 1000;
/// Deepest nesting of parentheses and signs.
const DEPTH_MAX: usize = 32;

/// What is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// Longer than anybody reads.
    #[error("is longer than {BYTES_MAX} bytes")]
    TooLong,
    /// Too many parentheses or signs within each other.
    #[error("nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Something else is expected here.
    #[error("has `{found}` at character {at}, where {wanted} is expected")]
    Unexpected {
        /// What is there.
        found: String,
        /// Where, from 1.
        at: usize,
        /// What may be there.
        wanted: &'static str,
    },
    /// It ends too early.
    #[error("ends where {0} is expected")]
    Ends(&'static str),
    /// No measure has a part in it.
    #[error("names no measure")]
    Constant,
}

/// A checked expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    root: Node,
    /// What a quotient is whose denominator is 0; none: it has no value.
    on_zero: Option<f64>,
}

/// A product of two measures' quotient and a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio<'a> {
    /// The number.
    pub scale: f64,
    /// The measure above.
    pub numerator: &'a str,
    /// The measure below.
    pub denominator: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Name(String),
    Negative(Box<Node>),
    Two(Operation, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Plus,
    Minus,
    Times,
    Over,
    Min,
    Max,
}

impl Expression {
    /// Reads an expression, in which a quotient has no value where its denominator is 0.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        if text.len() > BYTES_MAX {
            return Err(ExpressionError::TooLong);
        }
        let mut parser = Parser { text, rest: text.char_indices().peekable(), depth: 0 };
        if parser.next_symbol().is_none() {
            return Err(ExpressionError::Empty);
        }
        let root = parser.sum()?;
        if let Some((at, _)) = parser.next_symbol() {
            return Err(parser.unexpected(at, "an operation"));
        }
        let expression = Expression { root, on_zero: None };
        if expression.names().is_empty() { Err(ExpressionError::Constant) } else { Ok(expression) }
    }

    /// Sets what a quotient is whose denominator is 0.
    #[must_use]
    pub fn with_division_by_zero(mut self, value: Option<f64>) -> Expression {
        self.on_zero = value;
        self
    }

    /// The measures that it names, each once, in the order of the text.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.names(&mut names);
        names
    }

    /// Its value where the measures have these values; none where one of them has none that is needed, where a
    /// denominator is 0, and where the value is no finite number.
    pub fn value(&self, of: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        self.root.value(of, self.on_zero).filter(|value| value.is_finite())
    }

    /// The ratio that it is, if it is one: a quotient of two measures, with a number that it is multiplied by.
    pub fn ratio(&self) -> Option<Ratio<'_>> {
        let mut factors = Factors { scale: 1.0, above: Vec::new(), below: Vec::new() };
        self.root.factors(true, &mut factors)?;
        match (&factors.above[..], &factors.below[..]) {
            ([numerator], [denominator]) if factors.scale.is_finite() && factors.scale != 0.0 => {
                Some(Ratio { scale: factors.scale, numerator, denominator })
            }
            _ => None,
        }
    }
}

/// As it reads back.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.write(f, 0)?;
        self.on_zero.map_or(Ok(()), |value| write!(f, ", {value} over 0"))
    }
}

struct Factors<'a> {
    scale: f64,
    above: Vec<&'a str>,
    below: Vec<&'a str>,
}

impl Node {
    fn names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Node::Number(_) => {}
            Node::Name(name) if names.contains(&name.as_str()) => {}
            Node::Name(name) => names.push(name),
            Node::Negative(node) => node.names(names),
            Node::Two(_, a, b) => {
                a.names(names);
                b.names(names);
            }
        }
    }

    fn value(&self, of: &dyn Fn(&str) -> Option<f64>, on_zero: Option<f64>) -> Option<f64> {
        match self {
            Node::Number(number) => Some(*number),
            Node::Name(name) => of(name),
            Node::Negative(node) => node.value(of, on_zero).map(|value| -value),
            Node::Two(operation, a, b) => {
                let (a, b) = (a.value(of, on_zero)?, b.value(of, on_zero)?);
                match operation {
                    Operation::Plus => Some(a + b),
                    Operation::Minus => Some(a - b),
                    Operation::Times => Some(a * b),
                    Operation::Over if b == 0.0 => on_zero,
                    Operation::Over => Some(a / b),
                    Operation::Min => Some(a.min(b)),
                    Operation::Max => Some(a.max(b)),
                }
            }
        }
    }

    /// Takes it apart as a product; none where it is no product of names and numbers.
    fn factors<'a>(&'a self, is_above: bool, factors: &mut Factors<'a>) -> Option<()> {
        match self {
            Node::Number(number) => {
                factors.scale = if is_above { factors.scale * number } else { factors.scale / number };
            }
            Node::Name(name) => if is_above { &mut factors.above } else { &mut factors.below }.push(name),
            Node::Negative(node) => {
                factors.scale = -factors.scale;
                node.factors(is_above, factors)?;
            }
            Node::Two(Operation::Times, a, b) => {
                a.factors(is_above, factors)?;
                b.factors(is_above, factors)?;
            }
            Node::Two(Operation::Over, a, b) => {
                a.factors(is_above, factors)?;
                b.factors(!is_above, factors)?;
            }
            Node::Two(..) => return None,
        }
        Some(())
    }

    /// `bond` is how strongly what is around it binds: 1 a sum, 2 a product, 3 a sign or a denominator.
    fn write(&self, f: &mut fmt::Formatter<'_>, bond: u8) -> fmt::Result {
        match self {
            Node::Number(number) if *number == 0.0 || (1e-6..1e15).contains(number) => write!(f, "{number}"),
            Node::Number(number) => write!(f, "{number:e}"),
            Node::Name(name) if is_word(name) => f.write_str(name),
            Node::Name(name) => write!(f, "`{name}`"),
            Node::Negative(node) => {
                f.write_str("-")?;
                node.write(f, 3)
            }
            Node::Two(operation, a, b) => {
                let (sign, own) = match operation {
                    Operation::Plus => (" + ", 1),
                    Operation::Minus => (" - ", 1),
                    Operation::Times => (" * ", 2),
                    Operation::Over => (" / ", 2),
                    Operation::Min | Operation::Max => {
                        f.write_str(if *operation == Operation::Min { "min(" } else { "max(" })?;
                        a.write(f, 0)?;
                        f.write_str(", ")?;
                        b.write(f, 0)?;
                        return f.write_str(")");
                    }
                };
                if own < bond {
                    f.write_str("(")?;
                }
                a.write(f, own)?;
                f.write_str(sign)?;
                b.write(f, own + 1)?;
                if own < bond { f.write_str(")") } else { Ok(()) }
            }
        }
    }
}

fn is_word(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(starts_word) && characters.all(goes_on) && !["min", "max"].contains(&name)
}

fn starts_word(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn goes_on(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.')
}

struct Parser<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn next_symbol(&mut self) -> Option<(usize, char)> {
        while self.rest.next_if(|(_, character)| character.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        self.next_symbol().is_some_and(|(_, found)| found == wanted) && self.rest.next().is_some()
    }

    fn unexpected(&self, at: usize, wanted: &'static str) -> ExpressionError {
        let found = self.text[at..].chars().next().map(String::from).unwrap_or_default();
        ExpressionError::Unexpected { found, at: self.text[..at].chars().count() + 1, wanted }
    }

    fn need(&mut self, wanted: char, name: &'static str) -> Result<(), ExpressionError> {
        match self.next_symbol() {
            _ if self.take(wanted) => Ok(()),
            Some((at, _)) => Err(self.unexpected(at, name)),
            None => Err(ExpressionError::Ends(name)),
        }
    }

    fn sum(&mut self) -> Result<Node, ExpressionError> {
        let mut node = self.product()?;
        loop {
            let operation = match self.next_symbol() {
                Some((_, '+')) => Operation::Plus,
                Some((_, '-')) => Operation::Minus,
                _ => return Ok(node),
            };
            self.rest.next();
            node = Node::Two(operation, Box::new(node), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Node, ExpressionError> {
        let mut node = self.factor()?;
        loop {
            let operation = match self.next_symbol() {
                Some((_, '*')) => Operation::Times,
                Some((_, '/')) => Operation::Over,
                _ => return Ok(node),
            };
            self.rest.next();
            node = Node::Two(operation, Box::new(node), Box::new(self.factor()?));
        }
    }

    fn factor(&mut self) -> Result<Node, ExpressionError> {
        if self.depth == DEPTH_MAX {
            return Err(ExpressionError::TooDeep);
        }
        self.depth += 1;
        let node = self.factor_within();
        self.depth -= 1;
        node
    }

    fn factor_within(&mut self) -> Result<Node, ExpressionError> {
        const WANTED: &str = "a measure or a number";
        let (at, first) = self.next_symbol().ok_or(ExpressionError::Ends(WANTED))?;
        if self.take('-') {
            return Ok(Node::Negative(Box::new(self.factor()?)));
        }
        if self.take('(') {
            let node = self.sum()?;
            self.need(')', "`)`")?;
            return Ok(node);
        }
        if self.take('`') {
            let from = at + 1;
            let name: String = std::iter::from_fn(|| self.rest.next_if(|(_, c)| *c != '`')).map(|(_, c)| c).collect();
            match name.is_empty() {
                true if from == self.text.len() => return Err(ExpressionError::Ends("the name of a measure")),
                true => return Err(self.unexpected(from, "the name of a measure")),
                false => {}
            }
            self.need('`', "the end of a name in backticks")?;
            return Ok(Node::Name(name));
        }
        if starts_word(first) {
            let name = self.word(goes_on);
            let operation = match name.as_str() {
                "min" => Operation::Min,
                "max" => Operation::Max,
                _ => return Ok(Node::Name(name)),
            };
            self.need('(', "`(`")?;
            let a = self.sum()?;
            self.need(',', "`,`")?;
            let b = self.sum()?;
            self.need(')', "`)`")?;
            return Ok(Node::Two(operation, Box::new(a), Box::new(b)));
        }
        if first.is_ascii_digit() || first == '.' {
            return self.number(at);
        }
        Err(self.unexpected(at, WANTED))
    }

    fn word(&mut self, is_part: fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.rest.next_if(|(_, character)| is_part(*character))).map(|(_, c)| c).collect()
    }

    fn number(&mut self, at: usize) -> Result<Node, ExpressionError> {
        let mut digits = self.word(|character| character.is_ascii_digit() || character == '.');
        if self.rest.next_if(|(_, character)| matches!(character, 'e' | 'E')).is_some() {
            digits.push('e');
            digits.extend(self.rest.next_if(|(_, character)| matches!(character, '+' | '-')).map(|(_, sign)| sign));
            digits.push_str(&self.word(|character| character.is_ascii_digit()));
        }
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
        number.map(Node::Number).ok_or_else(|| self.unexpected(at, "a number"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str, on_zero: Option<f64>) -> Option<f64> {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        expression.with_division_by_zero(on_zero).value(&|name| match name {
            "clicks" => Some(3.0),
            "impressions" => Some(60.0),
            "p 95" => Some(250.0),
            "none" => Some(0.0),
            _ => None,
        })
    }

    #[test]
    fn the_four_operations_bind_as_at_school() {
        for (text, expected) in [
            ("100 * clicks / impressions", 5.0),
            ("clicks - 1 - 1", 1.0),
            ("impressions / clicks / 2", 10.0),
            ("-clicks + 2 * (impressions - 5e1)", 17.0),
            ("2 - -clicks", 5.0),
            ("`p 95` / 1.25e2", 2.0),
            ("max(clicks, 4) * min(impressions, .5)", 2.0),
        ] {
            assert_eq!(value(text, None), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_says_so() {
        assert_eq!(value("clicks / none", None), None);
        assert_eq!(value("clicks / none", Some(0.5)), Some(0.5));
        assert_eq!(value("clicks / (impressions - 60) + 1", Some(2.0)), Some(3.0));
        assert_eq!(value("clicks + unseen", None), None);
        assert_eq!(value("impressions * 1e307 * 1e300", None), None, "not finite");
    }

    #[test]
    fn problems_are_named_with_their_place() {
        for (text, expected) in [
            ("  ", "is empty"),
            ("100 * 2", "names no measure"),
            ("clicks /", "ends where a measure or a number is expected"),
            ("clicks impressions", "has `i` at character 8, where an operation is expected"),
            ("(clicks", "ends where `)` is expected"),
            ("clicks)", "has `)` at character 7, where an operation is expected"),
            ("größe + é ? 1", "has `?` at character 11, where an operation is expected"),
            ("1.2.3 * clicks", "has `1` at character 1, where a number is expected"),
            ("1e999 * clicks", "has `1` at character 1, where a number is expected"),
            ("``", "has ``` at character 2, where the name of a measure is expected"),
            ("`clicks", "ends where the end of a name in backticks is expected"),
            ("min(clicks)", "has `)` at character 11, where `,` is expected"),
            ("pow(clicks, 2)", "has `(` at character 4, where an operation is expected"),
        ] {
            assert_eq!(Expression::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        let deep = format!("{}clicks{}", "(".repeat(200), ")".repeat(200));
        assert_eq!(Expression::parse(&deep), Err(ExpressionError::TooDeep));
        assert_eq!(Expression::parse(&"clicks+".repeat(500)), Err(ExpressionError::TooLong));
    }

    #[test]
    fn a_ratio_is_known_however_it_is_written() {
        let ratio = |text: &str| {
            Expression::parse(text).unwrap().ratio().map(|ratio| {
                let Ratio { scale, numerator, denominator } = ratio;
                (scale, numerator.to_owned(), denominator.to_owned())
            })
        };
        let expected = Some((100.0, "a".to_owned(), "b".to_owned()));
        for text in ["100 * a / b", "a / b * 100", "100 * (a / b)", "-a / -b / 0.01", "a * 200 / (2 * b)"] {
            assert_eq!(ratio(text), expected, "{text}");
        }
        for text in ["a", "a / b + 1", "a * b / c", "1 / b", "a / max(b, 1)", "0 * a / b", "a / (b / 0)"] {
            assert_eq!(ratio(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_shown_reads_back(text in "[ab(),.0-9e+*/` min-]{0,40}") {
            if let Ok(expression) = Expression::parse(&text) {
                let shown = expression.to_string();
                let again = Expression::parse(&shown).unwrap();
                let of = |name: &str| Some(name.len() as f64 + 0.5);
                prop_assert_eq!(again.value(&of), expression.value(&of), "{} as {}", text, shown);
            }
        }

        #[test]
        fn no_bytes_panic(text in "\\PC{0,60}") {
            let _ = Expression::parse(&text);
        }
    }
}
