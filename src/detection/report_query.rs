//! The queries of reports: what `queries/reports/` has, checked as detections are.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use datafusion::common::ScalarValue;

use super::findings;
use super::front_matter::{self, ColumnType, Header};
use super::library::{Query, check_params, checked_statement};
use crate::engine::{Engine, Params, Sql, Statement};

/// A checked query whose rows a report shows.
#[derive(Debug, Clone)]
pub struct ReportQuery {
    pub name: String,
    pub header: Header,
    pub sql: Sql,
    pub statement: Statement,
}

impl ReportQuery {
    /// Checks all that can be known without data.
    pub(super) fn check(name: &str, query: &Query) -> Result<ReportQuery> {
        let header = query
            .header
            .clone()
            .context("a report's query needs a header between two lines `-- ---`")?;
        ensure!(
            header.name == name,
            "the header's name is `{}`, the file's `{name}`",
            header.name
        );
        let statement = checked_statement(&query.sql)?;
        check_params(&header, &statement, None)?;
        ensure!(
            !header.kept || header.params.is_empty(),
            "a query that is kept takes no parameters"
        );
        Ok(ReportQuery {
            name: name.to_string(),
            header,
            sql: query.sql.clone(),
            statement,
        })
    }

    /// Returns its parameters with the values given, else their defaults; what it does not take is left out.
    pub fn params(&self, given: &BTreeMap<String, ScalarValue>) -> Result<Params> {
        front_matter::bind(&self.header.params, given)
    }

    /// Compares the columns that it gives with those that it declares.
    pub async fn check_columns(&self, engine: &Engine) -> Result<()> {
        let params: Params = self
            .header
            .params
            .iter()
            .map(|(name, param)| (name.clone(), param.kind.null()))
            .collect();
        let given = engine.output_schema(&self.statement, &params).await?;
        let declared: BTreeMap<String, ColumnType> = self
            .header
            .columns
            .iter()
            .map(|(name, column)| (name.clone(), column.kind))
            .collect();
        findings::check_columns(&given, &declared)
    }
}
