//! What the operators of a plan keep, and what a changed row of their input costs: for EXPLAIN.

use super::{IndexName, delta_join, is_stateless, join};
use crate::sql::plan::delta_join::DeltaJoin;
use crate::sql::plan::function::WindowNode;
use crate::sql::plan::reach::{Nearby, Reach};
use crate::sql::plan::temporal::TemporalNode;
use crate::sql::plan::{AggregateFunction, AggregateNode, Join, JoinKind, Node, Plan, TopK};

/// What one operator keeps and costs.
pub struct Account {
    /// The arrangements it keeps or reads.
    pub kept: Vec<Kept>,
    /// What a changed row costs, in words.
    pub cost: String,
}

/// One arrangement.
pub struct Kept {
    /// What is in it and by which key, in words.
    pub what: String,
    /// By what several views may share it; `None`: it is the operator's own.
    pub shared: Option<IndexName>,
}

impl Kept {
    fn own(what: impl Into<String>) -> Kept {
        Kept {
            what: what.into(),
            shared: None,
        }
    }
}

/// The account of a plan's outermost operator.
pub fn account(plan: &Plan) -> Account {
    let passing = |cost: &str| Account {
        kept: Vec::new(),
        cost: cost.to_owned(),
    };
    match &plan.node {
        Node::Table { .. } => passing("nothing here: the table has its rows"),
        Node::View { .. } => passing("nothing here: the view has its rows"),
        Node::Level { .. } => passing("nothing here: the level before has its rows"),
        Node::Constant { .. } => passing("nothing: the rows never change"),
        Node::Map { .. } => passing("O(1): its expressions, once"),
        Node::Union { .. } => passing("O(1): it is passed on"),
        Node::Unnest(_) => passing("O(elements) of its lists"),
        Node::Distinct { .. } => Account {
            kept: vec![Kept::own(format!(
                "each different row once, by {}",
                all(plan)
            ))],
            cost: "one look-up; nothing more unless it is the first or last of its kind".to_owned(),
        },
        Node::Join(node) => of_join(node),
        Node::DeltaJoin(node) => of_delta_join(node),
        Node::Aggregate(node) => of_aggregate(node),
        Node::TopK(node) => of_top(node),
        Node::Window(node) => of_window(node),
        Node::Temporal(node) => of_temporal(node),
        Node::Recursive(node) => Account {
            kept: match node.distinct {
                true => vec![Kept::own("for each level what the levels before it have")],
                false => Vec::new(),
            },
            cost: "what it changes at each level: the step below, once for each".to_owned(),
        },
    }
}

/// The arrangements of a plan that others may share, in the order of its operators.
pub fn shared_indexes(plan: &Plan) -> Vec<IndexName> {
    let shareable = super::shareable_indexes(plan).into_iter();
    shareable.map(|(name, _)| name).collect()
}

fn index(name: IndexName, side: &str) -> Kept {
    let rows = match &name.plan.relations()[..] {
        [relation] if is_stateless(&name.plan) => relation.clone(),
        _ => format!("the rows of the {side}"),
    };
    let by = by(&name.plan, &name.key);
    let what = match name.keys_only {
        true => format!("how often {rows} has each key {by}"),
        false => format!("{rows} by {by}"),
    };
    Kept {
        what,
        shared: is_stateless(&name.plan).then_some(name),
    }
}

fn of_join(node: &Join) -> Account {
    let (left, _) = join::sides(node);
    let indexes = join::indexes(node).into_iter();
    let mut kept: Vec<Kept> = indexes
        .map(|(name, _)| {
            let is_left = name.plan == left;
            index(name, if is_left { "left side" } else { "right side" })
        })
        .collect();
    let is_inner = node.kind == JoinKind::Inner;
    if !is_inner && node.residual.is_some() {
        kept.push(Kept::own("each left row with the number of its partners"));
    }
    let found = match (node.on.is_empty(), node.kind) {
        (true, JoinKind::Inner) => "every row of the other side is met",
        (true, _) => "every row of the other side is met, and counted",
        (false, JoinKind::Inner) => "one look-up in the other side, and its matches",
        (false, JoinKind::Left) => {
            "one look-up in the other side, and its matches; the first or last partner of a key \
             also changes the left rows with that key"
        }
        (false, JoinKind::Full) => {
            "one look-up in the other side, and its matches; the first or last partner of a key \
             also changes the rows with that key"
        }
        (false, JoinKind::LeftSemi | JoinKind::LeftAnti) => {
            "of the left side, one look-up; of the right side, nothing more unless it is the first \
             or last of its key: then the left rows with that key"
        }
    };
    Account {
        kept,
        cost: found.to_owned(),
    }
}

fn of_delta_join(node: &DeltaJoin) -> Account {
    let indexes = delta_join::indexes(node).into_iter();
    let longest = node.paths.iter().map(|path| path.lookups.len()).max();
    let lookups = longest.unwrap_or(0);
    Account {
        kept: indexes.map(|(name, _)| index(name, "input")).collect(),
        cost: format!(
            "one look-up in each of {lookups} indexes for what has been found so far, and what \
             they find"
        ),
    }
}

fn of_aggregate(node: &AggregateNode) -> Account {
    let group = match node.keys.is_empty() {
        true => "one row of sums".to_owned(),
        false => format!("one row of sums for each {}", by(&node.input, &node.keys)),
    };
    let mut kept = Vec::new();
    let mut costs: Vec<&str> = Vec::new();
    let is_recomputed =
        |function: &AggregateFunction| matches!(function, AggregateFunction::Recomputed(_));
    let is_all_recomputed = node
        .aggregates
        .iter()
        .all(|call| is_recomputed(&call.function));
    if node.keys.is_empty() || !is_all_recomputed {
        kept.push(group);
        costs.push("O(1) for sums and counts: the row of its group");
    }
    let name = |column: Option<usize>| match column {
        Some(column) => node.input.schema.field(column).name().clone(),
        None => "*".to_owned(),
    };
    for call in &node.aggregates {
        let (what, cost) = match &call.function {
            AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::Quantile(_) => (
                format!("{} of each group in order", name(call.argument)),
                "O(log group) for what is read in order",
            ),
            AggregateFunction::Pick(_) => (
                "the rows of each group in order".to_owned(),
                "O(log group) for what is read in order",
            ),
            AggregateFunction::Mode => (
                format!("how often each group has each {}", name(call.argument)),
                "O(log group) for what is read in order",
            ),
            AggregateFunction::Recomputed(_) => (
                "the rows of each group".to_owned(),
                "recomputes its group with DataFusion's own evaluators",
            ),
            _ if call.distinct => (
                format!("each different {} of each group", name(call.argument)),
                "one look-up for what counts once",
            ),
            _ => continue,
        };
        if !kept.contains(&what) {
            kept.push(what);
        }
        if !costs.contains(&cost) {
            costs.push(cost);
        }
    }
    Account {
        kept: kept.into_iter().map(Kept::own).collect(),
        cost: costs.join("; "),
    }
}

fn of_top(node: &TopK) -> Account {
    let rows = format!("all rows by {}, in order", by(&node.input, &node.partition));
    let cost = match node.limit {
        Some(limit) => format!(
            "O(log partition), and the first {} rows where it is among them",
            node.offset.saturating_add(limit)
        ),
        None if node.numbers_all() => {
            "O(log partition), and the rows behind it, which are numbered anew".to_owned()
        }
        None => "reads its partition again".to_owned(),
    };
    Account {
        kept: vec![Kept::own(rows)],
        cost,
    }
}

fn of_window(node: &WindowNode) -> Account {
    let rows = format!("all rows by {}, in order", by(&node.input, &node.partition));
    let cost = match node.reach() {
        _ if node.limit.is_some() => "the rows of its partition up to the rank".to_owned(),
        Some(Reach::Nearby(Nearby { before, after })) => {
            format!("O(log partition), and the {after} rows before and {before} behind it")
        }
        Some(Reach::Session(_)) => "the sessions that it touches".to_owned(),
        Some(Reach::Newest(_)) => {
            "of the left side, one look-up; of the right side, the left rows up to the next right \
             one"
            .to_owned()
        }
        None if node.running().is_some() => {
            "O(log partition), and the rows behind it as long as it makes a difference".to_owned()
        }
        None => "recomputes its partition".to_owned(),
    };
    Account {
        kept: vec![Kept::own(rows)],
        cost,
    }
}

fn of_temporal(node: &TemporalNode) -> Account {
    Account {
        kept: vec![Kept::own("the rows whose conditions change later, by time")],
        cost: format!(
            "O(log waiting) for it, and once more for each of its {} conditions when their time \
             comes",
            node.conditions.len()
        ),
    }
}

fn by(plan: &Plan, columns: &[usize]) -> String {
    if columns.is_empty() {
        return "nothing (one partition)".to_owned();
    }
    let names = columns.iter();
    let names: Vec<&str> = names
        .map(|column| plan.schema.field(*column).name().as_str())
        .collect();
    format!("[{}]", names.join(", "))
}

fn all(plan: &Plan) -> String {
    let columns: Vec<usize> = (0..plan.schema.fields().len()).collect();
    by(plan, &columns)
}
