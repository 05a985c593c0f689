//! Plans as text: what EXPLAIN prints, what golden tests compare, and what identifies a sub-plan
//! when arrangements are shared, so equal text must mean an equal plan.

use std::fmt::{self, Display, Formatter};

use super::explain_function::{write_call, write_order, write_window};
use super::explain_join;
use super::{AggregateNode, Expression, Join, JoinKind, Node, Plan, TopK};
use crate::sql::texts::interval_text::readable;

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&readable(&Tree(self).to_string()))
    }
}

impl Plan {
    /// The plan with a note behind each operator's line.
    pub fn annotated(&self, note: &mut dyn FnMut(&Plan) -> String) -> String {
        let mut text = String::new();
        annotate(self, 0, note, &mut text);
        text
    }

    /// The plan's own line, without those of its inputs.
    pub fn line(&self) -> String {
        readable(&Line(self).to_string())
    }
}

struct Line<'a>(&'a Plan);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_node(self.0, f)
    }
}

struct Tree<'a>(&'a Plan);

impl Display for Tree<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_plan(self.0, 0, f)
    }
}

fn write_plan(plan: &Plan, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    if depth > 0 {
        writeln!(f)?;
        write!(f, "{:width$}", "", width = 2 * depth)?;
    }
    write_node(plan, f)?;
    if let Node::DeltaJoin(join) = &plan.node {
        for path in explain_join::paths(join) {
            write!(f, "\n{:width$}{path}", "", width = 2 * depth + 2)?;
        }
    }
    for input in plan.inputs() {
        write_plan(input, depth + 1, f)?;
    }
    Ok(())
}

fn annotate(plan: &Plan, depth: usize, note: &mut dyn FnMut(&Plan) -> String, text: &mut String) {
    let indent = " ".repeat(2 * depth);
    *text += &format!("{indent}{}{}\n", plan.line(), note(plan));
    if let Node::DeltaJoin(join) = &plan.node {
        for path in explain_join::paths(join) {
            *text += &format!("{indent}  {}\n", readable(&path));
        }
    }
    for input in plan.inputs() {
        annotate(input, depth + 1, note, text);
    }
}

fn write_node(plan: &Plan, f: &mut Formatter<'_>) -> fmt::Result {
    match &plan.node {
        Node::Table { name } => write!(f, "Table {name}"),
        Node::View { name } => write!(f, "View {name}"),
        Node::Constant { rows } => {
            write!(f, "Constant")?;
            for row in rows {
                write!(f, " {row:?}")?;
            }
            Ok(())
        }
        Node::Map {
            predicate,
            projection,
            ..
        } => {
            write!(f, "Map")?;
            write_map(plan, predicate.as_ref(), projection, f)
        }
        Node::Union { .. } => write!(f, "Union"),
        Node::Join(join) => write_join(join, f),
        Node::DeltaJoin(join) => write!(f, "{}", explain_join::Head(join)),
        Node::Aggregate(node) => write_aggregate(node, f),
        Node::Distinct { .. } => write!(f, "Distinct"),
        Node::TopK(top) => write_top(top, f),
        Node::Window(window) => write_window(window, plan, f),
        Node::Level { name } => write!(f, "Level {name}"),
        Node::Recursive(recursive) => {
            let distinct = if recursive.distinct { " distinct" } else { "" };
            let (name, levels) = (&recursive.name, recursive.levels);
            write!(
                f,
                "Recursive{distinct} {name}, up to {levels} levels, each maintained"
            )
        }
        Node::Unnest(unnest) => {
            write!(f, "Unnest")?;
            for (position, _) in &unnest.lists {
                write!(f, " {}", unnest.input.schema.field(*position).name())?;
            }
            Ok(())
        }
        Node::Temporal(temporal) => {
            write!(f, "Temporal")?;
            write_map(plan, temporal.predicate.as_ref(), &temporal.projection, f)?;
            write!(f, "; a row is kept once and changes when its time comes:")?;
            for (position, condition) in temporal.conditions.iter().enumerate() {
                let separator = if position == 0 { "" } else { ";" };
                write!(f, "{separator} [{}] {condition}", position + 1)?;
            }
            Ok(())
        }
    }
}

fn write_map(
    plan: &Plan,
    predicate: Option<&Expression>,
    projection: &[Expression],
    f: &mut Formatter<'_>,
) -> fmt::Result {
    if let Some(predicate) = predicate {
        write!(f, " where {predicate}")?;
    }
    write!(f, " [")?;
    for (position, expression) in projection.iter().enumerate() {
        if position > 0 {
            write!(f, ", ")?;
        }
        write_column(plan, position, expression, f)?;
    }
    write!(f, "]")
}

/// An expression; with its name where that is not the column's own.
fn write_column(
    plan: &Plan,
    position: usize,
    expression: &Expression,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    write!(f, "{expression}")?;
    let name = plan.schema.field(position).name();
    let text = expression.to_string();
    let own = text
        .rsplit_once('@')
        .map_or(text.as_str(), |(name, _)| name);
    if name != own && *name != text {
        write!(f, " as {name}")?;
    }
    Ok(())
}

fn write_join(join: &Join, f: &mut Formatter<'_>) -> fmt::Result {
    let kind = match join.kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Full => "full",
        JoinKind::LeftSemi => "semi",
        JoinKind::LeftAnti => "anti",
    };
    write!(f, "Join {kind}")?;
    for (position, (left, right)) in join.on.iter().enumerate() {
        let word = if position == 0 { "on" } else { "and" };
        let left = format!("{}@{left}", join.left.schema.field(*left).name());
        let right = format!("{}@{right}", join.right.schema.field(*right).name());
        write!(f, " {word} {left} = {right}")?;
    }
    if join.null_equals_null {
        write!(f, " (NULL equals NULL)")?;
    }
    if let Some(residual) = &join.residual {
        write!(f, " where {residual}")?;
    }
    Ok(())
}

fn write_aggregate(node: &AggregateNode, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "Aggregate by [")?;
    for (position, key) in node.keys.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}{}", node.input.schema.field(*key).name())?;
    }
    write!(f, "] [")?;
    for (position, aggregate) in node.aggregates.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}")?;
        write_call(node, aggregate, f)?;
    }
    write!(f, "]")
}

fn write_top(top: &TopK, f: &mut Formatter<'_>) -> fmt::Result {
    let name = |column: usize| format!("{}@{column}", top.input.schema.field(column).name());
    write!(f, "TopK by [")?;
    for (position, column) in top.partition.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}{}", name(*column))?;
    }
    write!(f, "] order [")?;
    write_order(&top.order, &top.input.schema, f)?;
    write!(f, "] offset {}", top.offset)?;
    match top.limit {
        Some(limit) => write!(f, " limit {limit}")?,
        None if top.numbers_all() => {
            return write!(
                f,
                " no limit with position: a change numbers the rows from it on"
            );
        }
        None => write!(f, " no limit: a change re-reads its whole partition")?,
    }
    if top.emit_position {
        write!(f, " with position")?;
    }
    Ok(())
}
