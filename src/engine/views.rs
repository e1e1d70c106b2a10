//! Views: named queries that build on tables and on each other, put in an order in which each can be registered.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use tokio::sync::OnceCell;

use super::{Sql, Statement};

/// A named query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub name: String,
    /// One `SELECT`, comments allowed, no parameters.
    pub sql: Sql,
    /// A column of hexadecimal digits, never null, that the rows are computed by: those of one range of its values need
    /// nothing of the others. Much data is taken range by range, so that less has to be in memory at a time.
    pub sliced_by: Option<String>,
    /// Its rows are few enough, and dear enough, to be kept in memory for several readers.
    pub may_be_kept: bool,
}

impl View {
    /// Says whether keeping its rows pays even for one reader: it is computed slice by slice, or shares parts of its own.
    fn is_better_kept(&self) -> bool {
        self.sliced_by.is_some() || (self.sql.statement()).is_ok_and(Statement::repeats_itself)
    }
}

/// Returns the names of the views to keep for a run of these statements: of those that may be kept, and that read anything,
/// each that would be computed more than once, and each that is better kept.
pub fn worth_keeping(views: &[View], statements: &[Statement]) -> Result<BTreeSet<String>> {
    let mut reads = Reads::default();
    let mut reached = BTreeMap::new();
    let mut ahead: Vec<(Option<&View>, &Statement)> = Vec::new();
    ahead.extend(statements.iter().map(|statement| (None, statement)));
    while let Some((reader, statement)) = ahead.pop() {
        let times = statement.times_read();
        for view in views.iter().filter(|view| times.contains_key(&view.name)) {
            if reached.insert(&*view.name, view).is_none() {
                ahead.push((Some(view), view.sql.statement()?));
            }
        }
        reads.0.push((reader, times));
    }
    let mut known = BTreeMap::new();
    let mut worth = BTreeSet::new();
    for (name, view) in reached {
        let may_be = view.may_be_kept && !view.sql.relations()?.is_empty();
        if may_be && (view.is_better_kept() || reads.times_computed(name, &mut known) > 1) {
            worth.insert(name.to_string());
        }
    }
    Ok(worth)
}

/// How many times the statements of a run, and the views that they build on, name each relation.
#[derive(Default)]
struct Reads<'v>(Vec<(Option<&'v View>, BTreeMap<String, usize>)>);

impl<'v> Reads<'v> {
    /// Returns how many times a view would be computed if it were not kept: by each statement and by each view that reads
    /// it, as many times as that is computed itself.
    fn times_computed(&self, view: &'v str, known: &mut BTreeMap<&'v str, usize>) -> usize {
        if let Some(times) = known.get(view) {
            return *times;
        }
        let mut times = 0;
        for (reader, named) in &self.0 {
            let named = named.get(view).copied().unwrap_or_default();
            times += match reader {
                Some(reader) if named > 0 && !reader.may_be_kept => {
                    named * self.times_computed(&reader.name, known)
                }
                _ => named,
            };
        }
        known.insert(view, times);
        times
    }
}

/// The views of a session, each after those that it reads, and which of them are registered already.
#[derive(Debug, Default)]
pub(super) struct Views {
    ordered: Vec<View>,
    /// What each reads, tables included.
    needs: BTreeMap<String, BTreeSet<String>>,
    registrations: Mutex<BTreeMap<String, Registration>>,
}

/// Set when a view is registered. Who comes while somebody else registers it waits for that.
type Registration = Arc<OnceCell<()>>;

impl Views {
    /// Puts the views in an order in which each can be registered; those that could come at the same time are in
    /// order of name. Views that need each other are an error that names them.
    pub(super) fn new(views: Vec<View>) -> Result<Views> {
        let mut waiting = BTreeMap::new();
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for view in views {
            let no_sql = || format!("the view `{}` is no SQL", view.name);
            let statement = view.sql.statement().with_context(no_sql)?;
            if let Some(param) = statement.params().first() {
                bail!(
                    "the view `{}` uses `${param}`; views take no parameters",
                    view.name
                );
            }
            let name = view.name.clone();
            needs.insert(name.clone(), view.sql.relations()?.clone());
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
            registrations: Mutex::default(),
        })
    }

    /// Returns the names of all of them, each after those it reads.
    pub(super) fn names(&self) -> Vec<String> {
        self.ordered.iter().map(|view| view.name.clone()).collect()
    }

    /// Returns what a view reads; none where there is no such view.
    pub(super) fn needs(&self, view: &str) -> Option<&BTreeSet<String>> {
        self.needs.get(view)
    }

    /// Returns the names of those to keep for a run of a statement.
    pub(super) fn worth_keeping(&self, statement: &Statement) -> Result<BTreeSet<String>> {
        let mut worth = worth_keeping(&self.ordered, slice::from_ref(statement))?;
        worth.retain(|view| self.needs.contains_key(view));
        Ok(worth)
    }

    /// Returns the same views, none of them registered yet.
    pub(super) fn anew(&self) -> Views {
        Views {
            ordered: self.ordered.clone(),
            needs: self.needs.clone(),
            registrations: Mutex::default(),
        }
    }

    /// Returns the views among relations of these names, with their registrations.
    pub(super) fn among(
        &self,
        relations: &BTreeSet<String>,
    ) -> impl Iterator<Item = (&View, Registration)> {
        let is_among = |view: &&View| relations.contains(&view.name);
        let views = self.ordered.iter().filter(is_among);
        views.map(|view| (view, self.registration(&view.name)))
    }

    /// Notes that there is something in the stead of a view, which then reads nothing.
    pub(super) fn note(&mut self, name: String) {
        let done = Arc::new(OnceCell::new_with(Some(())));
        self.needs.remove(&name);
        self.registrations().insert(name, done);
    }

    /// Forgets that a view is registered.
    pub(super) fn forget(&self, name: &str) {
        self.registrations().remove(name);
    }

    fn registration(&self, name: &str) -> Registration {
        let mut registrations = self.registrations();
        Arc::clone(registrations.entry(name.to_string()).or_default())
    }

    fn registrations(&self) -> MutexGuard<'_, BTreeMap<String, Registration>> {
        (self.registrations.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, sql: &str) -> View {
        View {
            name: name.to_string(),
            sql: sql.into(),
            sliced_by: None,
            may_be_kept: false,
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
        let [(b, of_b), (a, of_a)] = &found[..] else {
            panic!("there are two");
        };
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
        assert_eq!(views.needs("a"), Some(&names(&["b", "log_webhooks"])));
        assert!(of_b.initialized() && !of_a.initialized());
        views.forget("b");
        let (_, of_b) = views.among(&asked).next().expect("is among them");
        assert!(!of_b.initialized());
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
