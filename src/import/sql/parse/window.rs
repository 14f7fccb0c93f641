//! Windows: tumbling ones of `GROUP BY`, which are times rounded down; sliding ones of `OVER`; stagger ones.

use super::super::syntax::{Expr, Range};
use super::super::token::Kind;
use super::{Parsed, Parser};

impl Parser<'_> {
    /// `BY STAGGER (PARTITION BY FLOOR(event_time TO MINUTE), ticker RANGE INTERVAL '1' MINUTE)`: its columns and seconds.
    pub(super) fn stagger(&mut self, group: &mut Vec<Expr>) -> Parsed<u64> {
        self.word("BY")?;
        if !self.take("STAGGER") {
            return Err(self.unexpected("`STAGGER`"));
        }
        self.expect("(")?;
        group.extend(self.partition()?);
        self.word("RANGE")?;
        let seconds = self.interval()?;
        self.expect(")")?;
        Ok(seconds)
    }

    /// `W1 AS (PARTITION BY ticker RANGE INTERVAL '10' SECOND PRECEDING)`
    pub(super) fn named_window(&mut self) -> Parsed<(String, Range)> {
        let name = self.name()?;
        self.word("AS")?;
        self.expect("(")?;
        Ok((name, self.range()?))
    }

    /// What stands in the parentheses of a sliding window, and their end.
    pub(super) fn range(&mut self) -> Parsed<Range> {
        let partition = self.partition()?;
        if self.take("ORDER") {
            self.word("BY")?;
            let by = self.expr()?;
            if by != Expr::Column("ROWTIME".to_owned()) {
                return Err("a window that is ordered by something else than ROWTIME".to_owned());
            }
        }
        if self.is("ROWS") {
            return Err(
                self.unexpected("`RANGE`: windows of a number of rows are not translated, here they are of time")
            );
        }
        self.word("RANGE")?;
        let is_between = self.take("BETWEEN");
        let seconds = self.interval()?;
        self.word("PRECEDING")?;
        if is_between {
            ["AND", "CURRENT", "ROW"].into_iter().try_for_each(|word| self.word(word))?;
        }
        self.expect(")")?;
        Ok(Range { partition, seconds })
    }

    /// `PARTITION BY a, b`, which may be left out.
    fn partition(&mut self) -> Parsed<Vec<Expr>> {
        let mut by = Vec::new();
        if self.take("PARTITION") {
            self.word("BY")?;
            by.push(self.expr()?);
            while self.symbol(",") {
                by.push(self.expr()?);
            }
        }
        Ok(by)
    }

    /// `INTERVAL '10' SECOND`, in seconds.
    fn interval(&mut self) -> Parsed<u64> {
        self.word("INTERVAL")?;
        let Some(Kind::Text(count)) = self.peek().cloned() else { return Err(self.unexpected("a text")) };
        self.at += 1;
        let unit = self.unit().ok_or_else(|| self.unexpected("SECOND, MINUTE, HOUR or DAY"))?;
        self.at += 1;
        let seconds = count.trim().parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
        seconds.filter(|seconds| *seconds > 0).ok_or_else(|| "a window of a length that is not understood".to_owned())
    }

    /// `FLOOR(time TO MINUTE)`, `FLOOR(time SECOND / 10 TO SECOND)` or `STEP(time BY INTERVAL '10' SECOND)`.
    pub(super) fn window(&mut self) -> Parsed<Expr> {
        let is_step = self.take("STEP");
        if !is_step {
            self.word("FLOOR")?;
        }
        self.expect("(")?;
        let of = self.expr()?;
        let seconds = if is_step {
            self.word("BY")?;
            Some(self.interval()?)
        } else {
            self.word("TO")?;
            let unit = self.unit().ok_or_else(|| self.unexpected("SECOND, MINUTE, HOUR or DAY"))?;
            self.at += 1;
            match &of {
                Expr::Binary { op, left, right } if op == "/" && **left == Expr::Time => match &**right {
                    Expr::Number(count) => count.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)),
                    _ => None,
                },
                Expr::Column(name) if name == "ROWTIME" || name.contains("TIME") => Some(unit),
                _ => None,
            }
        };
        self.expect(")")?;
        let seconds = seconds.filter(|seconds| *seconds > 0);
        seconds.map(Expr::Window).ok_or_else(|| "a window of a length that is not understood".to_owned())
    }

    /// Seconds of the unit that comes next.
    pub(super) fn unit(&self) -> Option<u64> {
        match self.peek()? {
            Kind::Word(word) => match word.as_str() {
                "SECOND" => Some(1),
                "MINUTE" => Some(60),
                "HOUR" => Some(3600),
                "DAY" => Some(86_400),
                _ => None,
            },
            _ => None,
        }
    }
}
