//! Limits on SQL text before it is parsed and planned.
//!
//! DataFusion recurses over expressions, and a flat chain of thousands of operators is a deep tree
//! to it that can overflow the stack, which would end the process. So chains and nesting are
//! counted in the tokens first.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::Span;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Visit, Visitor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::sql::dialect::MainstemDialect;
use crate::sql::error::SqlError;
use crate::sql::place::of_span;
use crate::sql::planner::external;

/// Longest SQL text, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most tokens of one text.
pub const TOKENS_MAX: usize = 20_000;
/// Deepest nesting of parentheses.
pub const NESTING_MAX: usize = 50;
/// The stack of a thread that plans statements: what these limits let through is recursed over.
pub const PLANNING_STACK_BYTES: usize = 16 << 20;
/// Deepest nesting of functions that stand for a CASE with their first argument in it twice.
pub const DOUBLINGS_MAX: usize = 10;
/// Most operators between two commas, parentheses or clauses.
pub const CHAIN_MAX: usize = 500;
/// Most UNION, INTERSECT and EXCEPT of a statement: each makes its plan one deeper.
pub const SET_OPERATIONS_MAX: usize = 200;
/// Most relations of one FROM.
pub const JOINED_MAX: usize = 100;
/// Most relations of a query in which WITH queries and plain views stand for their names.
pub const EXPANDED_MAX: u64 = 1_000;

/// The tokens of a text; refuses one that is too large or too deep to be planned safely.
pub fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(too_complex(format!(
            "the statement has {} bytes; the limit is {TEXT_BYTES_MAX}",
            sql.len()
        )));
    }
    let tokens = Tokenizer::new(&MainstemDialect, sql)
        .tokenize_with_location()
        .map_err(|error| ParserError::TokenizerError(error.to_string()))?;
    check(tokens.iter().map(|token| &token.token))?;
    let samples = |token: &TokenWithSpan| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::TABLESAMPLE);
    if let Some(sample) = tokens.iter().find(|token| samples(token)) {
        let message = "TABLESAMPLE is not supported: all rows would be read";
        let place = Span::try_from_sqlparser_span(sample.span).map(of_span);
        return Err(SqlError::new("0A000", message)
            .at_known(place)
            .with_hint("choose rows by a condition on their key"));
    }
    Ok(tokens)
}

/// What has been counted since the last parenthesis that is open.
#[derive(Default)]
struct Level {
    /// Operators between two expressions.
    operators: usize,
    /// What stands behind an expression and makes it a deeper one.
    suffixes: usize,
    /// Relations of a FROM; `None` outside of one.
    relations: Option<usize>,
    /// How many of the parentheses around are those of functions that double.
    doublings: usize,
    /// Whether the last word was DISTINCT, behind which a FROM begins no clause.
    is_after_distinct: bool,
}

impl Level {
    /// Another expression begins.
    fn next_expression(&mut self) {
        (self.operators, self.suffixes) = (0, 0);
    }

    fn take(&mut self, token: &Token) {
        let is_compared = std::mem::take(&mut self.is_after_distinct);
        match token {
            Token::Comma => match &mut self.relations {
                Some(relations) => *relations += 1,
                None => self.next_expression(),
            },
            Token::SemiColon => *self = Level::default(),
            Token::Word(word) if word.keyword == Keyword::DISTINCT => {
                self.is_after_distinct = true;
            }
            Token::Word(word) if word.keyword == Keyword::FROM && is_compared => {}
            Token::Word(word) if starts_clause(word.keyword) => {
                self.next_expression();
                self.relations = (word.keyword == Keyword::FROM).then_some(1);
            }
            Token::Word(word) if word.keyword == Keyword::JOIN => {
                self.next_expression();
                self.relations = Some(self.relations.unwrap_or(1) + 1);
            }
            token if is_operator(token) => self.operators += 1,
            token if is_suffix(token) => self.suffixes += 1,
            _ => {}
        }
    }

    /// What begins at a parenthesis behind a token.
    fn inner(&self, before: Option<&Token>) -> Level {
        let doubles = matches!(before, Some(Token::Word(word)) if doubles(&word.value));
        Level {
            doublings: self.doublings + usize::from(doubles),
            ..Level::default()
        }
    }

    fn check(&self) -> Result<(), SqlError> {
        if self.doublings > DOUBLINGS_MAX {
            return Err(too_complex(format!(
                "the statement nests coalesce, nvl and the like more than {DOUBLINGS_MAX} deep"
            ))
            .with_hint("give one coalesce all arguments: coalesce(a, b, c)"));
        }
        if self.operators.max(self.suffixes) > CHAIN_MAX {
            return Err(too_complex(format!(
                "the statement chains more than {CHAIN_MAX} operators in one expression"
            ))
            .with_hint("put the values in a table and join it, or use IN (…)"));
        }
        match self.relations {
            Some(relations) if relations > JOINED_MAX => Err(too_complex(format!(
                "the statement joins more than {JOINED_MAX} relations"
            ))
            .with_hint("join in steps: a live view of some of them, and one of that and the rest")),
            _ => Ok(()),
        }
    }
}

fn check<'a>(tokens: impl Iterator<Item = &'a Token>) -> Result<(), SqlError> {
    let tokens = tokens.filter(|token| !matches!(token, Token::Whitespace(_)));
    let mut count = 0usize;
    let mut set_operations = 0usize;
    let mut levels = vec![Level::default()];
    let mut before = None;
    for token in tokens {
        count += 1;
        if let Some(level) = levels.last_mut() {
            level.take(token);
            level.check()?;
        }
        match token {
            Token::SemiColon => set_operations = 0,
            Token::Word(word) if is_set_operation(word.keyword) => set_operations += 1,
            Token::LParen | Token::LBracket => {
                let inner = levels.last().map(|level| level.inner(before));
                levels.push(inner.unwrap_or_default());
            }
            Token::RParen | Token::RBracket if levels.len() > 1 => {
                levels.pop();
            }
            _ => {}
        }
        before = Some(token);
        if set_operations > SET_OPERATIONS_MAX {
            return Err(too_complex(format!(
                "the statement has more than {SET_OPERATIONS_MAX} set operations (UNION, \
                 INTERSECT, EXCEPT)"
            ))
            .with_hint(
                "put the rows in one VALUES or a table, or make live views of parts of them",
            ));
        }
        if levels.len() > NESTING_MAX {
            return Err(too_complex(format!(
                "the statement is nested more than {NESTING_MAX} deep"
            )));
        }
    }
    match count > TOKENS_MAX {
        true => Err(too_complex(format!(
            "the statement has {count} tokens; the limit is {TOKENS_MAX}"
        ))),
        false => Ok(()),
    }
}

/// Refuses a query whose WITH queries, each put in the place of its names, become too many.
pub fn check_expansion(query: &Query) -> Result<(), SqlError> {
    let mut expansion = Expansion::default();
    // It never breaks off.
    let _ = query.visit(&mut expansion);
    match expansion.relations > EXPANDED_MAX {
        true => Err(too_complex(format!(
            "the statement reads {} relations when its WITH queries stand for their names; the \
             limit is {EXPANDED_MAX}",
            expansion.relations
        ))
        .with_hint("make live views of the WITH queries that are used many times")),
        false => Ok(()),
    }
}

/// Refuses a plain view that stands for too much, its own views included.
pub fn check_size(view: &str, plan: &LogicalPlan) -> Result<(), DataFusionError> {
    let mut scans = 0u64;
    plan.apply_with_subqueries(|node| {
        scans += u64::from(node.inputs().is_empty());
        Ok(TreeNodeRecursion::Continue)
    })?;
    match scans > EXPANDED_MAX {
        true => Err(external(
            too_complex(format!(
                "the view \"{view}\" stands for {scans} relations; the limit is {EXPANDED_MAX}"
            ))
            .with_hint("make it, or the views it reads, a live view"),
        )),
        false => Ok(()),
    }
}

/// Refuses correlated subqueries whose outer queries, each read once more for its columns, become
/// too many.
pub fn check_joined<'p>(
    plans: impl IntoIterator<Item = &'p LogicalPlan>,
) -> Result<(), DataFusionError> {
    let mut relations = 0u64;
    for plan in plans {
        plan.apply_with_subqueries(|node| {
            relations += u64::from(node.inputs().is_empty());
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    match relations > EXPANDED_MAX {
        true => Err(external(
            too_complex(format!(
                "the statement reads {relations} relations when its correlated subqueries are \
                 joined; the limit is {EXPANDED_MAX}"
            ))
            .with_hint("make live views of the inner ones"),
        )),
        false => Ok(()),
    }
}

/// Counts the relations of a query, those of a WITH query once for each mention of its name.
#[derive(Default)]
struct Expansion {
    /// The relations so far of each query that is open, and whether it is a WITH query of a name.
    open: Vec<(u64, Option<String>)>,
    /// Where the WITH queries stand that are yet to come, with their names.
    named: HashMap<*const Query, String>,
    sizes: HashMap<String, u64>,
    /// Those of the whole query.
    relations: u64,
}

impl Visitor for Expansion {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = table.alias.name.value.to_lowercase();
            self.named.insert(&raw const *table.query, name);
        }
        self.open.push((0, self.named.remove(&(&raw const *query))));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let size = self.sizes.get(&relation.to_string().to_lowercase());
        if let Some((relations, _)) = self.open.last_mut() {
            *relations = relations.saturating_add(size.copied().unwrap_or(1));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        match self.open.pop() {
            Some((relations, Some(name))) => {
                self.sizes.insert(name, relations.max(1));
            }
            Some((relations, None)) => {
                let around = self.open.last_mut().map(|(around, _)| around);
                let around = around.unwrap_or(&mut self.relations);
                *around = around.saturating_add(relations);
            }
            None => {}
        }
        ControlFlow::Continue(())
    }
}

fn too_complex(message: String) -> SqlError {
    SqlError::new("54001", message)
}

fn starts_clause(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::WINDOW
            | Keyword::QUALIFY
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::RETURNING
    )
}

fn is_set_operation(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS
    )
}

fn doubles(function: &str) -> bool {
    let doubling = ["coalesce", "nvl", "nvl2", "ifnull"];
    doubling
        .iter()
        .any(|name| function.eq_ignore_ascii_case(name))
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::LIKE
                | Keyword::WHEN
        ),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Spaceship
        | Token::StringConcat
        | Token::Ampersand
        | Token::Pipe
        | Token::Caret
        | Token::Sharp
        | Token::Tilde
        | Token::TildeAsterisk
        | Token::ExclamationMarkTilde
        | Token::ExclamationMarkTildeAsterisk
        | Token::DoubleTilde
        | Token::ShiftLeft
        | Token::ShiftRight
        | Token::Arrow
        | Token::LongArrow
        | Token::ArrowAt
        | Token::AtArrow
        | Token::Question
        | Token::Overlap => true,
        Token::Placeholder(name) => name == "?",
        _ => false,
    }
}

/// Whether a token makes what stands before it part of a deeper expression.
fn is_suffix(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::IS
                | Keyword::NOTNULL
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::DIV
                | Keyword::OVERLAPS
        ),
        Token::DoubleColon | Token::LBracket | Token::Period | Token::ExclamationMark => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_chains_are_refused_before_they_are_planned() {
        let chain = format!("SELECT {}", vec!["1"; 20_000].join(" + "));
        assert_eq!(tokens(&chain).unwrap_err().sqlstate, "54001");
        let ors = format!("SELECT 1 WHERE {}", vec!["a = 1"; 5_000].join(" OR "));
        assert_eq!(tokens(&ors).unwrap_err().sqlstate, "54001");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60));
        assert_eq!(tokens(&nested).unwrap_err().sqlstate, "54001");
    }

    #[test]
    fn suffixes_and_joins_are_counted() {
        let suffix = |suffix: &str| format!("SELECT a{} FROM t", suffix.repeat(600));
        for text in [
            " IS NULL",
            "::int",
            "[1]",
            " COLLATE c",
            ".a",
            " ->> 'a'",
            " ? 'a'",
        ] {
            let error = tokens(&suffix(text)).expect_err(text);
            assert_eq!(error.sqlstate, "54001", "{text}");
        }
        let listed = format!("SELECT 1 FROM {}", vec!["t"; 200].join(", "));
        assert_eq!(tokens(&listed).unwrap_err().sqlstate, "54001");
        let joined = format!("SELECT 1 FROM t {}", "CROSS JOIN t ".repeat(200));
        assert_eq!(tokens(&joined).unwrap_err().sqlstate, "54001");
        let columns: Vec<String> = (0..600).map(|n| format!("t.c{n} = 1")).collect();
        assert!(tokens(&format!("SELECT {} FROM t, u", columns.join(", "))).is_ok());
        let compared: Vec<String> = (0..200)
            .map(|n| format!("c{n} IS DISTINCT FROM 1"))
            .collect();
        assert!(tokens(&format!("SELECT {} FROM t", compared.join(", "))).is_ok());
    }

    #[test]
    fn queries_that_double_and_double_are_refused() {
        let mut text = "WITH w0 AS (SELECT 1 AS x)".to_owned();
        for level in 1..30 {
            let before = level - 1;
            text += &format!(", w{level} AS (SELECT a.x FROM w{before} a, W{before} b)");
        }
        let of = |name: &str| {
            let text = format!("{text} SELECT * FROM {name}, (SELECT * FROM {name}) AS again");
            crate::sql::statement::parse_query(&text).expect("a query")
        };
        assert_eq!(check_expansion(&of("w29")).unwrap_err().sqlstate, "54001");
        assert!(check_expansion(&of("w6")).is_ok());
    }

    #[test]
    fn set_operations_are_counted() {
        let of = |number: usize, operation: &str| {
            let parts = vec!["SELECT 1 AS x"; number + 1];
            tokens(&parts.join(operation))
        };
        for operation in [" UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT ALL "] {
            assert!(of(200, operation).is_ok(), "{operation}");
            let error = of(201, operation).expect_err(operation);
            assert_eq!(error.sqlstate, "54001", "{operation}");
            assert!(error.message.contains("200 set operations"), "{error}");
        }
        let many = vec!["SELECT 1 UNION SELECT 2"; 300];
        assert!(tokens(&many.join("; ")).is_ok());
    }

    #[test]
    fn long_lists_are_fine() {
        let list = format!("SELECT 1 WHERE a IN ({})", vec!["1"; 5_000].join(", "));
        assert!(tokens(&list).is_ok());
    }
}
