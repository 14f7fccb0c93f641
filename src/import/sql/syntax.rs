//! What statements are made of, once they are read: no more than following a column to a forest needs.

/// A statement that is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Stream {
        name: String,
        /// Names and types.
        columns: Vec<(String, String)>,
    },
    Pump {
        target: String,
        /// The target's columns, where they are named.
        columns: Vec<String>,
        select: Select,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Select {
    pub(super) items: Vec<Item>,
    pub(super) from: Vec<From>,
    /// Conditions that must all hold.
    pub(super) filters: Vec<Expr>,
    pub(super) group: Vec<Expr>,
    /// Seconds for which a stagger window is open, where there is one; what it is partitioned by stands in `group`.
    pub(super) stagger: Option<u64>,
    pub(super) order: Vec<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) expr: Expr,
    pub(super) alias: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    Stream { name: String },
    Function { name: String, cursor: Box<Select>, arguments: Vec<Expr> },
    Select(Box<Select>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Star,
    Column(String),
    Number(String),
    Text(String),
    Call {
        name: String,
        distinct: bool,
        arguments: Vec<Expr>,
    },
    /// A value as another type.
    Cast {
        of: Box<Expr>,
        data_type: String,
    },
    /// A time rounded down to so many seconds.
    Window(u64),
    /// An aggregate over the records that came so long before each record.
    Over {
        of: Box<Expr>,
        window: Over,
    },
    Binary {
        op: String,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    In {
        of: Box<Expr>,
        values: Vec<Expr>,
    },
    /// A time, or a difference of times: of no use but inside a window.
    Time,
}

/// A sliding window.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Over {
    /// One of the `WINDOW` clause.
    Named(String),
    Range(Range),
}

/// Records with the same values in some columns, of so many seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) partition: Vec<Expr>,
    pub(super) seconds: u64,
}

impl Expr {
    /// Puts in the windows that are named.
    pub(super) fn resolve(&mut self, windows: &[(String, Range)]) -> Result<(), String> {
        match self {
            Expr::Over { window, .. } => {
                if let Over::Named(name) = window {
                    let found = windows.iter().find(|(there, _)| there == name);
                    let (_, range) = found.ok_or_else(|| format!("no window is named `{name}`"))?;
                    *window = Over::Range(range.clone());
                }
                Ok(())
            }
            Expr::Binary { left, right, .. } => left.resolve(windows).and_then(|()| right.resolve(windows)),
            Expr::Cast { of, .. } => of.resolve(windows),
            _ => Ok(()),
        }
    }
}
