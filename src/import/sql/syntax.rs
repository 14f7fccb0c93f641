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
