//! Named, parameterised queries that people start from: the files of `queries/investigations/` that have a `status`.
//! Those without one are the steps of `tapetrail investigate`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use super::front_matter::{self, ColumnType, Header};
use super::library::{check_params, checked_statement};
use crate::engine::{Params, Statement};

/// A checked query that people run by name.
#[derive(Debug, Clone)]
pub struct Investigation {
    pub name: String,
    pub header: Header,
    pub statement: Statement,
}

impl Investigation {
    /// Checks all that can be known without data.
    pub(super) fn check(name: &str, header: &Header, sql: &str) -> Result<Investigation> {
        ensure!(
            header.name == name,
            "the header's name is `{}`, the file's `{name}`",
            header.name
        );
        ensure!(
            !header.columns.is_empty(),
            "the header needs [columns]: what does it show?"
        );
        let statement = checked_statement(sql)?;
        check_params(header, &statement, None)?;
        Ok(Investigation {
            name: name.to_string(),
            header: header.clone(),
            statement,
        })
    }

    /// Returns the columns that it gives.
    pub(super) fn columns(&self) -> BTreeMap<String, ColumnType> {
        let columns = self.header.columns.iter();
        columns
            .map(|(name, column)| (name.clone(), column.kind))
            .collect()
    }

    /// Returns a value of the right type for each parameter, to plan with.
    pub(super) fn example_params(&self) -> Params {
        let params = self.header.params.iter();
        params
            .map(|(name, param)| (name.clone(), param.kind.null()))
            .collect()
    }

    /// Returns its parameters with the values of `NAME=VALUE` flags, else their defaults.
    pub fn params(&self, flags: &[String]) -> Result<Params> {
        let mut given = BTreeMap::new();
        for flag in flags {
            let (name, value) = (flag.split_once('='))
                .with_context(|| format!("--param {flag}: write NAME=VALUE"))?;
            let param = self.header.params.get(name).with_context(|| {
                let known = self.header.params.keys().cloned().collect::<Vec<_>>();
                match known.is_empty() {
                    true => format!("`{}` takes no parameters", self.name),
                    false => format!(
                        "`{}` has no parameter `{name}`; it has {}",
                        self.name,
                        known.join(", ")
                    ),
                }
            })?;
            let value = (param.kind.parse(value)).with_context(|| format!("--param {flag}"))?;
            given.insert(name.to_string(), value);
        }
        front_matter::bind(&self.header.params, &given)
            .with_context(|| format!("the query `{}`", self.name))
    }
}
