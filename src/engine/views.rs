//! Views: named queries that build on tables and on each other, put in an order in which each can be registered.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use tokio::sync::OnceCell;

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
    registrations: BTreeMap<String, Registration>,
}

/// What registering a view takes, and whether it is done.
#[derive(Debug, Default)]
pub(super) struct Registration {
    /// What the view reads, tables included.
    pub needs: BTreeSet<String>,
    /// Set when the view is registered. Who comes while somebody else registers it waits for that.
    pub done: OnceCell<()>,
}

impl Views {
    /// Puts the views in an order in which each can be registered; those that could come at the same time are in
    /// order of name. Views that need each other are an error that names them.
    pub(super) fn new(views: Vec<View>) -> Result<Views> {
        let mut waiting = BTreeMap::new();
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
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
        let registrations = needs.into_iter().map(|(name, needs)| {
            let done = OnceCell::new();
            (name, Registration { needs, done })
        });
        Ok(Views {
            ordered,
            registrations: registrations.collect(),
        })
    }

    /// Appends views that may read those here.
    pub(super) fn append(&mut self, added: Views) {
        self.ordered.extend(added.ordered);
        self.registrations.extend(added.registrations);
    }

    /// Returns the names of all of them, each after those it reads.
    pub(super) fn names(&self) -> Vec<String> {
        self.ordered.iter().map(|view| view.name.clone()).collect()
    }

    /// Returns the views among relations of these names.
    pub(super) fn among(
        &self,
        relations: &BTreeSet<String>,
    ) -> impl Iterator<Item = (&View, &Registration)> {
        let is_among = |view: &&View| relations.contains(&view.name);
        let views = self.ordered.iter().filter(is_among);
        views.map(|view| (view, &self.registrations[&view.name]))
    }

    /// Notes that there is something in the stead of a view.
    pub(super) fn note(&mut self, name: String) {
        let done = OnceCell::new_with(Some(()));
        let registration = self.registrations.entry(name).or_default();
        registration.done = done;
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
    fn views_are_found_among_tables_with_what_they_read() {
        let mut views = Views::new(vec![
            view("a", "SELECT * FROM b JOIN log_webhooks ON true"),
            view("b", "SELECT * FROM log_webhooks"),
        ])
        .expect("has an order");
        views.note("b".to_string());
        let names = |names: &[&str]| BTreeSet::from_iter(names.iter().map(|name| name.to_string()));
        let asked = names(&["a", "b", "log_webhooks"]);
        let found: Vec<_> = views.among(&asked).collect();
        let [(b, of_b), (a, of_a)] = found[..] else {
            panic!("there are two");
        };
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
        assert_eq!(of_a.needs, names(&["b", "log_webhooks"]));
        assert!(of_b.done.initialized() && !of_a.done.initialized());
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
