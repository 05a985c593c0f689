//! EXPLAIN of live views: what each operator keeps, with whom it shares it, and what a change costs.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::show::lines;
use super::{Outcome, Session};
use crate::dataflow::{Account, Held, IndexName, Kept, account, shared_indexes};
use crate::engine::EngineError;
use crate::sql::plan::{Node, Plan};
use crate::sql::{Catalog, SqlError};

/// What an operator has kept and cost so far.
type Step = (Held, Duration);

impl Session {
    /// The plan of a live view with what each operator keeps and what a changed row costs.
    pub(super) fn explain_view(&self, name: &str) -> Result<Outcome, EngineError> {
        let (plan, users) = self.plan_of(name)?;
        let text = plan.annotated(&mut |plan| note(plan, &users));
        Ok(lines("plan", &text))
    }

    /// The same with what each step keeps and has cost so far, on all workers. Steps that read the
    /// same are told together, at the first of them.
    pub(super) fn analyze_view(&self, name: &str) -> Result<Outcome, EngineError> {
        let (plan, users) = self.plan_of(name)?;
        let mut steps: HashMap<Arc<str>, Step> = HashMap::new();
        for operator in self.engine.overview().operators {
            if operator.views.iter().any(|view| view == name) {
                let measure = operator.measure;
                let (held, busy) = steps.entry(measure.node).or_default();
                *held = held.plus(measure.held);
                *busy += measure.busy;
            }
        }
        let mut text = plan.annotated(&mut |plan| {
            let step = steps.remove(plan.line().as_str());
            let step = step.map_or_else(String::new, |step| format!("  ({})", told(step)));
            format!("{step}{}", note(plan, &users))
        });
        let rest = steps.into_values().fold(
            (Held::default(), Duration::ZERO),
            |(held, busy), (other, more)| (held.plus(other), busy + more),
        );
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Result and what is shared  ({})", told(rest));
        Ok(lines("plan", &text))
    }

    /// The plan of a live view, and which other views use what it may share.
    fn plan_of(&self, name: &str) -> Result<(Arc<Plan>, Users), SqlError> {
        let state = self.engine.shared.state();
        let view = state.catalog.live_views.get(name);
        let view = view.ok_or_else(|| match state.catalog.contains(name) {
            true => SqlError::new("42809", format!("\"{name}\" is no live view")).with_hint(
                format!("EXPLAIN SELECT * FROM {name} shows how a query of it is maintained"),
            ),
            false => state.catalog.undefined(name),
        })?;
        Ok((Arc::clone(&view.plan), Users::of(name, &state.catalog)))
    }
}

fn told((held, busy): Step) -> String {
    format!("{} rows, {} bytes kept, {busy:.1?}", held.rows, held.bytes)
}

/// Which other views use the arrangements of a view.
struct Users(BTreeMap<String, Vec<IndexName>>);

impl Users {
    fn of(name: &str, catalog: &Catalog) -> Users {
        let others = catalog.live_views.iter();
        let others = others.filter(|(other, _)| *other != name);
        let indexes = others.map(|(other, view)| (other.clone(), shared_indexes(&view.plan)));
        Users(indexes.collect())
    }

    /// An arrangement with who shares it.
    fn kept(&self, kept: &Kept) -> String {
        let Some(index) = &kept.shared else {
            return kept.what.clone();
        };
        let users = self.0.iter();
        let users = users.filter(|(_, indexes)| indexes.contains(index));
        let users: Vec<&str> = users.map(|(name, _)| name.as_str()).collect();
        match &users[..] {
            [] => format!("{} (to be shared, no other view does yet)", kept.what),
            users => format!("{} (shared with {})", kept.what, users.join(", ")),
        }
    }
}

fn note(plan: &Plan, users: &Users) -> String {
    let Account { kept, cost } = account(plan);
    let kept: Vec<String> = kept.iter().map(|kept| users.kept(kept)).collect();
    let kept = match (&plan.node, &kept[..]) {
        (Node::View { name }, _) => format!("reads what {name} keeps"),
        (_, []) => "keeps nothing".to_owned(),
        (_, kept) => format!("keeps {}", kept.join(", and ")),
    };
    format!("  -- {kept}; a changed row costs {cost}")
}
