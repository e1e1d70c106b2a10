//! The text of a query, parsed when first asked for and then once: a session for each of several lakes, days or cases is
//! made of the same views.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use anyhow::Result;

use super::Statement;

/// The text of one statement. Its clones share what was parsed.
#[derive(Debug, Clone)]
pub struct Sql {
    text: Arc<str>,
    parsed: Arc<OnceLock<Parsed>>,
}

#[derive(Debug)]
struct Parsed {
    statement: Statement,
    relations: BTreeSet<String>,
}

impl Sql {
    /// Returns the statement that the text is, or why it is none.
    pub fn statement(&self) -> Result<&Statement> {
        Ok(&self.parsed()?.statement)
    }

    /// Returns the tables and views that it reads.
    pub fn relations(&self) -> Result<&BTreeSet<String>> {
        Ok(&self.parsed()?.relations)
    }

    fn parsed(&self) -> Result<&Parsed> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed);
        }
        let statement = Statement::parse_one(&self.text)?;
        let relations = statement.relations()?;
        Ok(self.parsed.get_or_init(|| Parsed {
            statement,
            relations,
        }))
    }
}

impl From<&str> for Sql {
    fn from(text: &str) -> Sql {
        Sql {
            text: text.into(),
            parsed: Arc::default(),
        }
    }
}

impl Deref for Sql {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Sql {
    fn eq(&self, other: &Sql) -> bool {
        self.text == other.text
    }
}

impl Eq for Sql {}
