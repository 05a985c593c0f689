//! Parameters whose types the client has declared.
//!
//! A parameter that is compared or written has the type of what it meets, so that numbers keep
//! their digits. Elsewhere it has the declared one, by a cast: nothing in `$1 - INTERVAL '1 day'`
//! says whether it is a time or an interval.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem,
    Statement as Ast, Value,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::MainstemDialect;
use crate::sql::SqlError;
use crate::sql::syntax::{cast, edit_expressions, edit_selects, take_value};

/// The types of parameters as far as they are declared, by their numbers.
#[derive(Default)]
pub(super) struct Declared(Vec<Option<DataType>>);

impl Declared {
    /// The types by their names in SQL.
    pub(super) fn new(names: &[Option<&str>]) -> Result<Declared, SqlError> {
        let named = |name: &str| -> Result<DataType, SqlError> {
            let parser = Parser::new(&MainstemDialect);
            Ok(parser.try_with_sql(name)?.parse_data_type()?)
        };
        let types = names.iter().map(|name| name.map(named).transpose());
        Ok(Declared(types.collect::<Result<_, SqlError>>()?))
    }

    /// Casts the parameters of a statement to their types where these are not told otherwise: as
    /// operands of arithmetic, arguments, branches of CASE, and columns of a query.
    pub(super) fn cast(&self, statement: &mut Ast) {
        if self.0.iter().all(Option::is_none) {
            return;
        }
        // It never breaks off.
        let _ = edit_expressions(statement, &mut |part| {
            self.cast_parts(part);
            ControlFlow::Continue(())
        });
        if matches!(statement, Ast::Query(_)) {
            edit_selects(statement, &mut |select| {
                for item in &mut select.projection {
                    if let SelectItem::UnnamedExpr(value)
                    | SelectItem::ExprWithAlias { expr: value, .. } = item
                    {
                        self.cast_parameter(value);
                    }
                }
            });
        }
    }

    fn cast_parts(&self, whole: &mut Expr) {
        match whole {
            Expr::BinaryOp {
                left,
                op:
                    BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo,
                right,
            } => {
                self.cast_parameter(left);
                self.cast_parameter(right);
            }
            // Window functions and ordered aggregates ask for literals.
            Expr::Function(call) if call.over.is_none() && call.within_group.is_empty() => {
                let FunctionArguments::List(list) = &mut call.args else {
                    return;
                };
                for argument in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) = argument {
                        self.cast_parameter(value);
                    }
                }
            }
            Expr::Case {
                conditions,
                else_result,
                ..
            } => {
                for branch in conditions {
                    self.cast_parameter(&mut branch.result);
                }
                if let Some(value) = else_result {
                    self.cast_parameter(value);
                }
            }
            _ => {}
        }
    }

    fn cast_parameter(&self, value: &mut Expr) {
        let Expr::Value(literal) = &*value else {
            return;
        };
        let Value::Placeholder(name) = &literal.value else {
            return;
        };
        let number = name
            .strip_prefix('$')
            .and_then(|number| number.parse().ok());
        let position = number.and_then(|number: usize| number.checked_sub(1));
        let declared = position.and_then(|position| self.0.get(position));
        if let Some(Some(data_type)) = declared {
            *value = cast(take_value(value), data_type.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Statement, parse_declared};

    #[test]
    fn parameters_without_a_type_of_their_own_get_the_declared_one() {
        for (sql, expected) in [
            (
                "SELECT $1, a FROM t WHERE b = $1 AND c > $2 - INTERVAL '1 day' LIMIT $1",
                "SELECT CAST($1 AS INT), a FROM t WHERE b = $1 AND \
                 c > CAST($2 AS TIMESTAMP) - INTERVAL '1 day' LIMIT $1",
            ),
            (
                "SELECT coalesce(a, $1), ntile($1) OVER () FROM t",
                "SELECT coalesce(a, CAST($1 AS INT)), ntile($1) OVER () FROM t",
            ),
            (
                "SELECT CASE WHEN $3 = a THEN $1 ELSE $3 END",
                "SELECT CASE WHEN $3 = a THEN CAST($1 AS INT) ELSE $3 END",
            ),
        ] {
            let declared = [Some("INT"), Some("TIMESTAMP")];
            let parsed = parse_declared(sql, &declared).expect(sql);
            let [Statement::Query(query)] = &parsed[..] else {
                panic!("{sql} is a query");
            };
            assert_eq!(query.to_string(), expected);
        }
    }
}
