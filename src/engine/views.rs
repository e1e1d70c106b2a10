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
    /// A column of hexadecimal digits, never null, that the rows are computed by: those of one range of its values need
    /// nothing of the others. Much data is taken range by range, so that less has to be in memory at a time.
    pub sliced_by: Option<String>,
}

/// The views of a session, each after those that it reads, and which of them are registered already.
#[derive(Debug, Default)]
pub(super) struct Views {
    ordered: Vec<View>,
    /// What each view reads, tables included.
    needs: BTreeMap<String, BTreeSet<String>>,
    registered: BTreeSet<String>,
}

impl Views {
    /// Puts the views in an order in which each can be registered; those that could come at the same time are in
    /// order of name. Views that need each other are an error that names them.
    pub(super) fn new(views: Vec<View>) -> Result<Views> {
        let mut waiting = BTreeMap::new();
        let mut needs = BTreeMap::new();
        for view in views {
            let statement = Statement::parse_one(&view.sql)
                .with_context(|| format!("the view `{}` is no SQL", view.name))?;
            if let Some(param) = statement.params().first() {
                bail!(
                    "the view `{}` uses `${param}`; views take no parameters",
                    view.name
                );
            }
            let name = view.name.clone();
            needs.insert(name.clone(), statement.relations()?);
            if waiting.insert(name.clone(), view).is_some() {
                bail!("there are two views called `{name}`");
            }
        }
        if let Some((name, _)) = needs.iter().find(|(name, needs)| needs.contains(*name)) {
            bail!("the view `{name}` reads itself");
        }
        let mut ordered = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let is_ready =
                |name: &&String| needs[*name].iter().all(|need| !waiting.contains_key(need));
            let next = waiting.keys().find(is_ready).cloned();
            let Some(view) = next.and_then(|name| waiting.remove(&name)) else {
                let circle: Vec<_> = waiting.into_keys().collect();
                bail!("these views need each other: {}", circle.join(", "));
            };
            ordered.push(view);
        }
        Ok(Views {
            ordered,
            needs,
            registered: BTreeSet::new(),
        })
    }

    /// Appends views that may read those here.
    pub(super) fn append(&mut self, added: Views) {
        self.ordered.extend(added.ordered);
        self.needs.extend(added.needs);
    }

    /// Returns the names of all of them, each after those it reads.
    pub(super) fn names(&self) -> Vec<String> {
        self.ordered.iter().map(|view| view.name.clone()).collect()
    }

    /// Returns the views that relations of these names need, in order, without those that are registered.
    pub(super) fn missing(&self, relations: BTreeSet<String>) -> Vec<View> {
        let mut reached = BTreeSet::new();
        let mut ahead: Vec<String> = relations.into_iter().collect();
        while let Some(name) = ahead.pop() {
            if let Some(needs) = self.needs.get(&name)
                && reached.insert(name)
            {
                ahead.extend(needs.iter().cloned());
            }
        }
        let is_missing =
            |view: &&View| reached.contains(&view.name) && !self.registered.contains(&view.name);
        self.ordered.iter().filter(is_missing).cloned().collect()
    }

    /// Notes that a view is registered.
    pub(super) fn note(&mut self, name: String) {
        self.registered.insert(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, sql: &str) -> View {
        View {
            name: name.to_string(),
            sql: sql.to_string(),
            sliced_by: None,
        }
    }

    #[test]
    fn a_view_comes_after_what_it_reads() {
        let views = Views::new(vec![
            view("a", "SELECT * FROM b JOIN c ON true"),
            view("b", "SELECT * FROM c"),
            view("c", "SELECT * FROM log_webhooks"),
        ])
        .expect("has an order");
        assert_eq!(views.names(), ["c", "b", "a"]);
    }

    #[test]
    fn a_statement_needs_what_it_reads_and_what_that_reads() {
        let mut views = Views::new(vec![
            view("a", "SELECT * FROM b"),
            view("b", "SELECT * FROM c"),
            view("c", "SELECT * FROM log_webhooks"),
            view("d", "SELECT * FROM c"),
        ])
        .expect("has an order");
        let missing = |views: &Views| -> Vec<String> {
            let relations = BTreeSet::from(["a".to_string(), "log_webhooks".to_string()]);
            let missing = views.missing(relations);
            missing.into_iter().map(|view| view.name).collect()
        };
        assert_eq!(missing(&views), ["c", "b", "a"]);
        views.note("c".to_string());
        assert_eq!(missing(&views), ["b", "a"]);
    }

    #[test]
    fn circles_and_parameters_are_refused() {
        let refused = |views| Views::new(views).expect_err("is refused").to_string();
        let circle = refused(vec![
            view("a", "SELECT * FROM b"),
            view("b", "SELECT * FROM a"),
        ]);
        assert!(circle.contains("a, b"));
        assert!(refused(vec![view("a", "SELECT * FROM a")]).contains("itself"));
        assert!(refused(vec![view("a", "SELECT $x")]).contains("no parameters"));
    }
}
