//! Statements of a Kinesis Analytics application: streams and pumps, with the selects inside of them. Only what is
//! needed to follow a column from its source to a forest is read; anything else makes its statement fail with the word
//! that was not expected, so that it is named and not guessed.

mod window;

use super::syntax::{Expr, From, Item, Over, Select, Statement};
use super::token::{Kind, Token};

/// Deeper than anyone writes.
const DEPTH_MAX: usize = 60;

/// Reads one statement; nothing where it is empty.
pub(super) fn statement(tokens: &[Token]) -> Result<Option<Statement>, String> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let statement = parser.statement()?;
    match parser.tokens.get(parser.at) {
        None => Ok(Some(statement)),
        Some(_) => Err(parser.unexpected("the end of the statement")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn statement(&mut self) -> Parsed<Statement> {
        if self.is("INSERT") || self.is("SELECT") {
            return Err("only streams and pumps are translated".to_owned());
        }
        self.word("CREATE")?;
        if self.take("OR") {
            self.word("REPLACE")?;
        }
        if self.take("STREAM") {
            let name = self.name()?;
            let columns = if self.symbol("(") { self.columns_with_types()? } else { Vec::new() };
            return Ok(Statement::Stream { name, columns });
        }
        self.word("PUMP")?;
        self.name()?;
        self.take_any(&["STARTED", "STOPPED"]);
        self.word("AS")?;
        self.word("INSERT")?;
        self.word("INTO")?;
        let target = self.name()?;
        let mut columns = Vec::new();
        if self.symbol("(") {
            columns.push(self.name()?);
            while self.symbol(",") {
                columns.push(self.name()?);
            }
            self.expect(")")?;
        }
        let select = self.select()?;
        Ok(Statement::Pump { target, columns, select })
    }

    fn columns_with_types(&mut self) -> Parsed<Vec<(String, String)>> {
        let mut columns = Vec::new();
        loop {
            let name = self.name()?;
            columns.push((name, self.data_type()?));
            // `NOT NULL`
            if self.take("NOT") {
                self.word("NULL")?;
            }
            if !self.symbol(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(columns)
    }

    fn data_type(&mut self) -> Parsed<String> {
        let Some(Kind::Word(word)) = self.peek().cloned() else { return Err(self.unexpected("a type")) };
        self.at += 1;
        self.take("PRECISION");
        if self.symbol("(") {
            while !self.symbol(")") {
                if self.peek().is_none() {
                    return Err(self.unexpected("`)`"));
                }
                self.at += 1;
            }
        }
        Ok(word)
    }

    fn select(&mut self) -> Parsed<Select> {
        self.deeper(Parser::select_here)
    }

    fn select_here(&mut self) -> Parsed<Select> {
        self.word("SELECT")?;
        self.take("STREAM");
        if self.is("DISTINCT") {
            return Err(self.unexpected("columns"));
        }
        let mut items = vec![self.item()?];
        while self.symbol(",") {
            items.push(self.item()?);
        }
        self.word("FROM")?;
        let mut from = vec![self.from()?];
        while self.symbol(",") {
            from.push(self.from()?);
        }
        let mut filters = Vec::new();
        if self.take("WHERE") {
            conjuncts(self.expr()?, &mut filters);
        }
        let mut group = Vec::new();
        if self.take("GROUP") {
            self.word("BY")?;
            group.push(self.expr()?);
            while self.symbol(",") {
                group.push(self.expr()?);
            }
        }
        let stagger = if self.take("WINDOWED") { Some(self.stagger(&mut group)?) } else { None };
        if self.is("HAVING") || self.is("UNION") {
            return Err(self.unexpected("the end of the select"));
        }
        let mut windows = Vec::new();
        if self.take("WINDOW") {
            windows.push(self.named_window()?);
            while self.symbol(",") {
                windows.push(self.named_window()?);
            }
        }
        items.iter_mut().try_for_each(|item| item.expr.resolve(&windows))?;
        let mut order = Vec::new();
        if self.take("ORDER") {
            self.word("BY")?;
            loop {
                order.push(self.expr()?);
                self.take_any(&["DESC", "ASC"]);
                if !self.symbol(",") {
                    break;
                }
            }
        }
        Ok(Select { items, from, filters, group, stagger, order })
    }

    fn item(&mut self) -> Parsed<Item> {
        let expr = self.expr()?;
        let alias = if self.take("AS") { Some(self.name()?) } else { self.alias() };
        Ok(Item { expr, alias })
    }

    /// A name that follows without `AS`.
    fn alias(&mut self) -> Option<String> {
        const ENDS: [&str; 15] = [
            "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "WINDOW", "WINDOWED", "OVER", "UNION", "JOIN", "INNER",
            "LEFT", "RIGHT", "FULL", "ON",
        ];
        match self.peek() {
            Some(Kind::Name(_)) => self.name().ok(),
            Some(Kind::Word(word)) if !ENDS.contains(&word.as_str()) => self.name().ok(),
            _ => None,
        }
    }

    fn from(&mut self) -> Parsed<From> {
        let from = if self.take("TABLE") {
            self.expect("(")?;
            let function = self.function()?;
            self.expect(")")?;
            function
        } else if self.symbol("(") {
            let select = self.select()?;
            self.expect(")")?;
            From::Select(Box::new(select))
        } else {
            From::Stream { name: self.name()? }
        };
        if self.is("OVER")
            || self.is("JOIN")
            || self.is("INNER")
            || self.is("LEFT")
            || self.is("RIGHT")
            || self.is("FULL")
        {
            return Err(self.unexpected("`WHERE`: joins are translated where they are on ROWTIME, in the WHERE"));
        }
        // its columns are known by their own names
        if self.take("AS") {
            drop(self.name()?)
        } else {
            drop(self.alias())
        };
        Ok(from)
    }

    fn function(&mut self) -> Parsed<From> {
        let name = self.name()?;
        self.expect("(")?;
        self.word("CURSOR")?;
        self.expect("(")?;
        let cursor = Box::new(self.select()?);
        self.expect(")")?;
        let mut arguments = Vec::new();
        while self.symbol(",") {
            arguments.push(self.expr()?);
        }
        self.expect(")")?;
        Ok(From::Function { name, cursor, arguments })
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| parser.binary(0))
    }

    /// Operators from this level on, the loosest first.
    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        const WORDS: [&[&str]; 5] =
            [&["OR"], &["AND"], &["=", "<>", "!=", "<", "<=", ">", ">=", "LIKE"], &["+", "-", "||"], &["*", "/", "%"]];
        let Some(operators) = WORDS.get(level) else { return self.postfix() };
        let mut left = self.binary(level + 1)?;
        loop {
            if level == 2 && self.take("IN") {
                left = Expr::In { of: Box::new(left), values: self.list()? };
                continue;
            }
            let op = operators.iter().find(|op| match self.peek() {
                Some(Kind::Word(word)) => word == *op,
                Some(Kind::Symbol(symbol)) => symbol == *op,
                _ => false,
            });
            let Some(op) = op else { return Ok(left) };
            self.at += 1;
            let right = self.binary(level + 1)?;
            left = Expr::Binary { op: (*op).to_owned(), left: Box::new(left), right: Box::new(right) };
        }
    }

    fn list(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("(")?;
        let mut values = vec![self.expr()?];
        while self.symbol(",") {
            values.push(self.expr()?);
        }
        self.expect(")")?;
        Ok(values)
    }

    /// A primary, perhaps a difference of times in a unit: `(ROWTIME - TIMESTAMP '…') SECOND`.
    fn postfix(&mut self) -> Parsed<Expr> {
        let was_closed = self.at;
        let expr = self.primary()?;
        let is_in_parentheses = self.tokens.get(was_closed).is_some_and(|token| token.kind == Kind::Symbol("("));
        if is_in_parentheses && self.unit().is_some() {
            self.at += 1;
            return Ok(Expr::Time);
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        if self.symbol("*") {
            return Ok(Expr::Star);
        }
        if self.symbol("(") {
            let inner = self.expr()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.symbol("-") {
            let Some(Kind::Number(number)) = self.peek().cloned() else { return Err(self.unexpected("a number")) };
            self.at += 1;
            return Ok(Expr::Number(format!("-{number}")));
        }
        match self.peek().cloned() {
            Some(Kind::Number(number)) => {
                self.at += 1;
                Ok(Expr::Number(number))
            }
            Some(Kind::Text(text)) => {
                self.at += 1;
                Ok(Expr::Text(text))
            }
            Some(Kind::Word(word)) => match word.as_str() {
                "CAST" => self.cast(),
                "FLOOR" | "STEP" => self.window(),
                "TIMESTAMP" | "DATE" | "TIME" if self.is_text_next() => {
                    self.at += 2;
                    Ok(Expr::Time)
                }
                "TRUE" | "FALSE" => {
                    self.at += 1;
                    Ok(Expr::Text(word.to_ascii_lowercase()))
                }
                "CASE" | "NOT" | "INTERVAL" | "EXISTS" | "SELECT" => {
                    Err(self.unexpected("a column, a number or a text"))
                }
                _ => self.column_or_call(),
            },
            Some(Kind::Name(_)) => self.column_or_call(),
            _ => Err(self.unexpected("a column, a number or a text")),
        }
    }

    fn cast(&mut self) -> Parsed<Expr> {
        self.at += 1;
        self.expect("(")?;
        let inner = self.expr()?;
        self.word("AS")?;
        let data_type = self.data_type()?;
        self.expect(")")?;
        Ok(Expr::Cast { of: Box::new(inner), data_type })
    }

    fn column_or_call(&mut self) -> Parsed<Expr> {
        let mut name = self.name()?;
        // only the column's own name matters
        while self.symbol(".") {
            if self.symbol("*") {
                return Ok(Expr::Star);
            }
            name = self.name()?;
        }
        if !self.symbol("(") {
            return Ok(Expr::Column(name));
        }
        let distinct = self.take("DISTINCT");
        let mut arguments = Vec::new();
        if !self.symbol(")") {
            arguments.push(self.expr()?);
            while self.symbol(",") {
                arguments.push(self.expr()?);
            }
            self.expect(")")?;
        }
        let call = Expr::Call { name, distinct, arguments };
        if !self.take("OVER") {
            return Ok(call);
        }
        let window = if self.symbol("(") { Over::Range(self.range()?) } else { Over::Named(self.name()?) };
        Ok(Expr::Over { of: Box::new(call), window })
    }

    fn is_text_next(&self) -> bool {
        matches!(self.tokens.get(self.at + 1).map(|token| &token.kind), Some(Kind::Text(_)))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn is(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Word(there)) if there == word)
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.at += usize::from(is);
        is
    }

    fn take_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.take(word))
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let is = matches!(self.peek(), Some(Kind::Symbol(there)) if *there == symbol);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn name(&mut self) -> Parsed<String> {
        let name = match self.peek() {
            Some(Kind::Word(name) | Kind::Name(name)) => name.clone(),
            _ => return Err(self.unexpected("a name")),
        };
        self.at += 1;
        Ok(name)
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.tokens.get(self.at) {
            Some(token) => format!("line {}: `{}` where {wanted} was expected", token.line, token.kind.shown()),
            None => format!("it ends where {wanted} was expected"),
        }
    }
}

fn conjuncts(expr: Expr, filters: &mut Vec<Expr>) {
    match expr {
        Expr::Binary { op, left, right } if op == "AND" => {
            conjuncts(*left, filters);
            conjuncts(*right, filters);
        }
        other => filters.push(other),
    }
}
