//! Views: named queries that build on tables and on each other, put in an order in which each can be registered.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use super::Statement;

/// A named query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub name: String,
    /// One `SELECT`, comments allowed, no parameters.
    pub sql: String,
}

/// Returns the views so that each comes after those it reads; those that could come at the same time are in
/// order of name. Views that need each other are an error that names them.
pub(super) fn in_dependency_order(views: Vec<View>) -> Result<Vec<View>> {
    let mut waiting: BTreeMap<String, (View, BTreeSet<String>)> = BTreeMap::new();
    for view in views {
        let statement = Statement::parse_one(&view.sql)
            .with_context(|| format!("the view `{}` is no SQL", view.name))?;
        if let Some(param) = statement.params().first() {
            bail!(
                "the view `{}` uses `${param}`; views take no parameters",
                view.name
            );
        }
        let relations = statement.relations()?;
        let name = view.name.clone();
        if waiting.insert(name.clone(), (view, relations)).is_some() {
            bail!("there are two views called `{name}`");
        }
    }
    let names: BTreeSet<String> = waiting.keys().cloned().collect();
    for (name, (_, needs)) in &mut waiting {
        if needs.contains(name) {
            bail!("the view `{name}` reads itself");
        }
        needs.retain(|need| names.contains(need));
    }
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let next = waiting
            .iter()
            .find(|(_, (_, needs))| needs.iter().all(|need| !waiting.contains_key(need)))
            .map(|(name, _)| name.clone());
        let Some((view, _)) = next.and_then(|name| waiting.remove(&name)) else {
            let circle: Vec<_> = waiting.into_keys().collect();
            bail!("these views need each other: {}", circle.join(", "));
        };
        ordered.push(view);
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, sql: &str) -> View {
        View {
            name: name.to_string(),
            sql: sql.to_string(),
        }
    }

    #[test]
    fn a_view_comes_after_what_it_reads() {
        let ordered = in_dependency_order(vec![
            view("a", "SELECT * FROM b JOIN c ON true"),
            view("b", "SELECT * FROM c"),
            view("c", "SELECT * FROM log_webhooks"),
        ])
        .expect("has an order");
        let names: Vec<_> = ordered.iter().map(|view| view.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
    }

    #[test]
    fn circles_and_parameters_are_refused() {
        let refused = |views| {
            in_dependency_order(views)
                .expect_err("is refused")
                .to_string()
        };
        let circle = refused(vec![
            view("a", "SELECT * FROM b"),
            view("b", "SELECT * FROM a"),
        ]);
        assert!(circle.contains("a, b"));
        assert!(refused(vec![view("a", "SELECT * FROM a")]).contains("itself"));
        assert!(refused(vec![view("a", "SELECT $x")]).contains("no parameters"));
    }
}
