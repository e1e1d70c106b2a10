//! Errors of DataFusion -> errors that a person reads: without their chain of wrappers, with the place in the SQL where it
//! is known, and with the name that was probably meant instead of all names there are.

use std::collections::BTreeSet;

use anyhow::anyhow;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::common::{Column, DataFusionError, SchemaError};

use super::statement::plain;

/// Names less alike than this have nothing to do with each other; 1 is the same name.
const ALIKE: f64 = 0.5;

/// How DataFusion names a table that is not there, before and after its name.
const NO_TABLE: (&str, &str) = ("table 'datafusion.public.", "' not found");

/// Makes an error one that a person reads.
pub fn readable(error: DataFusionError) -> anyhow::Error {
    readable_among(error, &[])
}

/// The same where the relations are known that could have been meant.
pub(super) fn readable_among(error: DataFusionError, relations: &[String]) -> anyhow::Error {
    let root = error.find_root();
    let message = match root {
        DataFusionError::SchemaError(missing, _) => match missing.as_ref() {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => no_column(field, valid_fields),
            _ => plain(&root.strip_backtrace()),
        },
        _ => no_relation(&plain(&root.strip_backtrace()), relations),
    };
    match error.diagnostic().and_then(|diagnostic| diagnostic.span) {
        Some(span) => anyhow!(
            "{message} (line {}, column {})",
            span.start.line,
            span.start.column
        ),
        None => anyhow!("{message}"),
    }
}

fn no_column(column: &Column, known: &[Column]) -> String {
    let said = format!("there is no column `{}`", column.flat_name());
    match closest(&column.name, known.iter().map(|known| known.name.as_str())) {
        Some(meant) => format!("{said}; did you mean `{meant}`?"),
        None => {
            let of = known.iter().filter_map(|known| known.relation.as_ref());
            let of: BTreeSet<String> = of.map(|of| format!("`{}`", of.table())).collect();
            let of: Vec<String> = of.into_iter().collect();
            let of = match of.is_empty() {
                true => String::new(),
                false => format!(" in {}", of.join(", ")),
            };
            format!("{said}{of}; text is written in single quotes")
        }
    }
}

/// Names a table that is not there as the person did; returns other messages as they are.
fn no_relation(message: &str, relations: &[String]) -> String {
    let name = (message.strip_prefix(NO_TABLE.0)).and_then(|rest| rest.strip_suffix(NO_TABLE.1));
    let Some(name) = name else {
        return message.to_string();
    };
    let meant = closest(name, relations.iter().map(String::as_str));
    let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
    format!("there is no table or view `{name}`{meant}")
}

/// Returns the name that is most like the one given; the first of several.
fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for known in known {
        let alike = normalized_levenshtein(&name, known);
        if alike >= ALIKE && best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, known));
        }
    }
    best.map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_leads_to_the_right_one() {
        let known = ["sid", "cname", "outcome"].map(|name| Column::new(Some("starts"), name));
        let said = |name: &str| no_column(&Column::from_name(name), &known);
        assert_eq!(
            said("nam"),
            "there is no column `nam`; did you mean `cname`?"
        );
        assert_eq!(
            said("Oss Bucket"),
            "there is no column `Oss Bucket` in `starts`; text is written in single quotes"
        );
        let relations = ["sessions", "starts"].map(str::to_string);
        assert_eq!(
            no_relation("table 'datafusion.public.strats' not found", &relations),
            "there is no table or view `strats`; did you mean `starts`?"
        );
        assert_eq!(no_relation("no memory", &relations), "no memory");
    }
}
