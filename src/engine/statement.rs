//! SQL text -> statements: which tables and parameters they name, and parameters bound as typed values.
//! Knows nothing of a session; nothing is executed here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use anyhow::{Context as _, Result, anyhow, bail};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement as Parsed};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, ObjectName, ObjectNamePart, Query, Statement as SqlStatement, TableAlias,
    TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut, With, visit_expressions,
    visit_expressions_mut, visit_relations,
};

/// Functions whose result differs between two runs over the same data.
const VOLATILE_FUNCTIONS: [&str; 12] = [
    "now",
    "today",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "random",
    "rand",
    "uuid",
    "gen_random_uuid",
    "sysdate",
];

/// Which of the queries of a `WITH` are computed before what reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chosen {
    All,
    /// Those that are read more than once. The planner would write them out, and compute them, once for each reader.
    Shared,
}

/// One parsed SQL statement.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) parsed: Parsed,
}

impl Statement {
    /// Parses all statements of a text, separated by semicolons; comments alone give none.
    pub fn parse_all(sql: &str) -> Result<Vec<Statement>> {
        let parsed = DFParserBuilder::new(sql)
            .build()
            .and_then(|mut parser: DFParser<'_>| parser.parse_statements())
            .map_err(|error| anyhow!("{}", plain(&error.strip_backtrace())))?;
        Ok(parsed
            .into_iter()
            .map(|parsed| Statement { parsed })
            .collect())
    }

    /// Parses a text that must hold exactly one statement.
    pub fn parse_one(sql: &str) -> Result<Statement> {
        let mut statements = Statement::parse_all(sql)?;
        match statements.len() {
            1 => Ok(statements.remove(0)),
            0 => bail!("there is no statement"),
            count => bail!("there must be one statement, not {count}"),
        }
    }

    /// Returns the names of the `$name` placeholders.
    pub fn params(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.each_expression(|expr| {
            names.extend(placeholder(expr).map(str::to_string));
        });
        names
    }

    /// Returns the tables and views that the statement reads; names of its own `WITH` are not among them.
    pub fn relations(&self) -> Result<BTreeSet<String>> {
        let (relations, _ctes) = resolve_table_references(&self.parsed, true)
            .map_err(|error| anyhow!("{}", plain(&error.strip_backtrace())))?;
        Ok(relations
            .iter()
            .map(|relation| relation.table().to_string())
            .collect())
    }

    /// Says how many times it names each relation, those of its own `WITH` among them.
    pub fn times_read(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        if let Some(query) = self.query() {
            let _: ControlFlow<()> = visit_relations(query, |relation| {
                *times.entry(relation.to_string()).or_default() += 1;
                ControlFlow::Continue(())
            });
        }
        times
    }

    /// Says whether it reads rows by `SELECT`, or explains how it would; else it may ask what tables there are.
    pub fn is_query(&self) -> bool {
        let mut parsed = &self.parsed;
        while let Parsed::Explain(explain) = parsed {
            parsed = &explain.statement;
        }
        match parsed {
            Parsed::Statement(statement) => matches!(**statement, SqlStatement::Query(_)),
            _ => false,
        }
    }

    /// Takes apart a query that begins with `WITH`: returns a statement for each of its named queries that `chosen` takes,
    /// in order, and the statement itself, which reads the slot of the same number instead of each, as the statements for
    /// the named queries after it do. Gives none where names refer to themselves, or may hide each other.
    pub(super) fn steps(&self, slots: &str, chosen: Chosen) -> Option<(Vec<Statement>, Statement)> {
        let query = self.query()?;
        let with = query.with.as_ref().filter(|with| !with.recursive)?;
        if has_inner_with(query) {
            return None;
        }
        let mut last = query.clone();
        let mut ahead: VecDeque<Cte> = with.cte_tables.clone().into();
        last.with = None;
        let mut steps = Vec::with_capacity(ahead.len());
        let mut left: Vec<Cte> = Vec::new();
        while let Some(named) = ahead.pop_front() {
            let name = &named.alias.name;
            let is_chosen = chosen == Chosen::All || readers(query, &name.value) > 1;
            if !is_chosen || !named.alias.columns.is_empty() {
                left.push(named);
                continue;
            }
            let mut slot = Slot::new(name, format!("{slots}{}", steps.len()));
            for later in &mut ahead {
                slot.stand_in(&mut later.query);
            }
            slot.stand_in(&mut last);
            steps.push(Statement::of_query(with_named(*named.query, with, &left)));
        }
        let last = Statement::of_query(with_named(last, with, &left));
        Some((steps, last))
    }

    /// Says whether it reads any query of its own `WITH` more than once.
    pub(super) fn repeats_itself(&self) -> bool {
        let Some(query) = self.query() else {
            return false;
        };
        let mut named = query.with.iter().flat_map(|with| &with.cte_tables);
        named.any(|named| readers(query, &named.alias.name.value) > 1)
    }

    fn query(&self) -> Option<&Query> {
        match &self.parsed {
            Parsed::Statement(statement) => match statement.as_ref() {
                SqlStatement::Query(query) => Some(query),
                _ => None,
            },
            _ => None,
        }
    }

    fn of_query(query: Query) -> Statement {
        let query = SqlStatement::Query(Box::new(query));
        Statement {
            parsed: Parsed::Statement(Box::new(query)),
        }
    }

    /// Returns the functions it calls whose result differs between two runs over the same data.
    pub fn volatile_functions(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.each_expression(|expr| {
            if let Expr::Function(function) = expr {
                let name = function.name.to_string().to_lowercase();
                if VOLATILE_FUNCTIONS.contains(&name.as_str()) {
                    names.insert(name);
                }
            }
        });
        names
    }

    /// Says whether it is a query that ends with `ORDER BY`.
    pub fn is_ordered(&self) -> bool {
        self.query().is_some_and(|query| query.order_by.is_some())
    }

    /// Replaces every placeholder by its value. The value becomes a typed literal of the syntax tree, never
    /// text, so no value can change what the statement does; and the planner knows its type from the start,
    /// which DataFusion's own binding after planning does not give it (`ts + $tolerance` would not plan).
    pub fn bind(&mut self, params: &[(String, ScalarValue)]) -> Result<()> {
        let bound = each_expression_mut(&mut self.parsed, &mut |expr| {
            let Some(name) = placeholder(expr) else {
                return Ok(());
            };
            let (_, value) = params
                .iter()
                .find(|(known, _)| known == name)
                .with_context(|| format!("no value is given for the parameter `${name}`"))?;
            *expr = literal(value).with_context(|| format!("parameter `${name}`"))?;
            Ok(())
        });
        match bound {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }

    fn each_expression(&self, mut visit: impl FnMut(&Expr)) {
        let mut parsed = &self.parsed;
        while let Parsed::Explain(explain) = parsed {
            parsed = &explain.statement;
        }
        if let Parsed::Statement(statement) = parsed {
            let _: ControlFlow<()> = visit_expressions(statement, |expr| {
                visit(expr);
                ControlFlow::Continue(())
            });
        }
    }
}

/// Puts those of the named queries before a query that it reads, or that one of them reads.
fn with_named(mut query: Query, with: &With, named: &[Cte]) -> Query {
    let mut needed: Vec<Cte> = Vec::new();
    for named in named.iter().rev() {
        let name = &named.alias.name.value;
        let reads = |query: &Query| readers(query, name) > 0;
        if reads(&query) || needed.iter().any(|later| reads(&later.query)) {
            needed.push(named.clone());
        }
    }
    needed.reverse();
    query.with = (!needed.is_empty()).then(|| With {
        cte_tables: needed,
        ..with.clone()
    });
    query
}

/// A table that stands in for a named query.
struct Slot {
    of: Ident,
    table: Ident,
}

impl Slot {
    fn new(of: &Ident, table: String) -> Slot {
        Slot {
            of: of.clone(),
            table: Ident::with_quote('"', table),
        }
    }

    /// Has a query read the table, under the name that it knows.
    fn stand_in(&mut self, query: &mut Query) {
        let _: ControlFlow<()> = VisitMut::visit(query, self);
    }
}

impl VisitorMut for Slot {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor
            && let [ObjectNamePart::Identifier(part)] = name.0.as_slice()
            && normal(part) == normal(&self.of)
        {
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: part.clone(),
                columns: Vec::new(),
                at: None,
            });
            *name = ObjectName::from(vec![self.table.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// Returns a name as the planner compares it.
fn normal(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// Says whether a query within a query begins with `WITH`.
fn has_inner_with(query: &Query) -> bool {
    struct Counter(usize);
    impl Visitor for Counter {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0 += usize::from(query.with.is_some());
            ControlFlow::Continue(())
        }
    }
    let mut counter = Counter(0);
    let _: ControlFlow<()> = Visit::visit(query, &mut counter);
    counter.0 > usize::from(query.with.is_some())
}

/// Says how many times a query reads a relation of this name.
fn readers(query: &Query, name: &str) -> usize {
    let mut count = 0;
    let _: ControlFlow<()> = visit_relations(query, |relation| {
        count += usize::from(relation.to_string() == name);
        ControlFlow::Continue(())
    });
    count
}

fn each_expression_mut(
    parsed: &mut Parsed,
    change: &mut dyn FnMut(&mut Expr) -> Result<()>,
) -> ControlFlow<anyhow::Error> {
    match parsed {
        Parsed::Explain(explain) => each_expression_mut(&mut explain.statement, change),
        Parsed::Statement(statement) => {
            visit_expressions_mut(statement, |expr| match change(expr) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            })
        }
        _ => ControlFlow::Continue(()),
    }
}

/// Returns the name of a `$name` placeholder.
fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$'),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the value as a literal of its own type.
fn literal(value: &ScalarValue) -> Result<Expr> {
    let plain = match value {
        ScalarValue::Utf8(Some(text)) => Value::SingleQuotedString(text.clone()),
        ScalarValue::Boolean(Some(flag)) => Value::Boolean(*flag),
        ScalarValue::Int64(Some(number)) => return typed(&number.to_string(), &DataType::Int64),
        ScalarValue::Float64(Some(number)) if number.is_finite() => {
            return typed(&format!("{number:?}"), &DataType::Float64);
        }
        ScalarValue::TimestampMicrosecond(Some(number), _)
        | ScalarValue::DurationMicrosecond(Some(number)) => {
            return typed(&number.to_string(), &value.data_type());
        }
        value if value.is_null() => return typed("NULL", &value.data_type()),
        other => bail!("a value of type {} cannot be bound", other.data_type()),
    };
    Ok(Expr::Value(plain.with_empty_span()))
}

/// Parses `arrow_cast(number, 'type')`; both texts are ours.
fn typed(number: &str, data_type: &DataType) -> Result<Expr> {
    let sql = format!("arrow_cast({number}, '{data_type}')");
    let parsed = DFParserBuilder::new(sql.as_str())
        .build()
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| anyhow!("{error}"))?;
    Ok(parsed.expr)
}

/// Shortens an error of the SQL parser or planner to what a person needs.
pub(super) fn plain(message: &str) -> String {
    const NOISE: [&str; 7] = [
        "SQL error: ",
        "Error during planning: ",
        "Schema error: ",
        "Arrow error: ",
        "Execution error: ",
        "External error: ",
        "Optimizer rule ",
    ];
    let mut message = message.trim();
    while let Some(rest) = NOISE.iter().find_map(|noise| message.strip_prefix(noise)) {
        message = rest;
    }
    match message
        .strip_prefix("ParserError(\"")
        .and_then(|rest| rest.strip_suffix("\")"))
    {
        Some(inner) => inner.replace("\\\"", "\""),
        None => message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(sql: &str) -> Statement {
        Statement::parse_one(sql).expect("is SQL")
    }

    #[test]
    fn placeholders_are_found_wherever_they_stand() {
        let statement = parse(
            "-- $comment is none\nWITH t AS (SELECT $a AS x) SELECT x FROM t WHERE x IN ($b) HAVING count(*) > $c LIMIT $d",
        );
        let names: Vec<_> = statement.params().into_iter().collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }

    #[test]
    fn relations_leave_out_the_names_of_with() {
        let statement =
            parse("WITH t AS (SELECT 1 FROM Starts) SELECT * FROM t JOIN webhooks w ON true");
        let names: Vec<_> = statement
            .relations()
            .expect("resolves")
            .into_iter()
            .collect();
        assert_eq!(names, ["starts", "webhooks"]);
    }

    #[test]
    fn a_bound_text_cannot_change_the_statement() {
        let mut statement = parse("SELECT * FROM t WHERE cname = $c");
        let value = ScalarValue::from("' OR 1=1 --");
        statement.bind(&[("c".to_string(), value)]).expect("binds");
        assert!(statement.params().is_empty());
        assert!(statement.parsed.to_string().contains("''' OR 1=1 --'"));
    }

    #[test]
    fn a_missing_value_is_named() {
        let error = parse("SELECT $tolerance")
            .bind(&[])
            .expect_err("has no value");
        assert!(error.to_string().contains("`$tolerance`"));
    }

    #[test]
    fn volatile_functions_and_order_are_seen() {
        let statement = parse("SELECT current_timestamp, NOW(), sum(x) FROM t ORDER BY 1");
        let names: Vec<_> = statement.volatile_functions().into_iter().collect();
        assert_eq!(names, ["current_timestamp", "now"]);
        assert!(statement.is_ordered());
        assert!(!parse("SELECT 1 FROM (SELECT 2 ORDER BY 1)").is_ordered());
    }

    #[test]
    fn named_queries_become_steps() {
        let statement = parse("WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT x FROM b");
        let (steps, last) = statement
            .steps("slot", Chosen::All)
            .expect("has named queries");
        let steps: Vec<_> = steps.iter().map(|step| step.parsed.to_string()).collect();
        assert_eq!(steps, ["SELECT 1 AS x", "SELECT x FROM \"slot0\" AS a"]);
        assert_eq!(last.parsed.to_string(), "SELECT x FROM \"slot1\" AS b");
        assert!(parse("SELECT 1").steps("slot", Chosen::All).is_none());
    }

    #[test]
    fn named_queries_that_are_read_twice_become_steps() {
        let sql = "WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT b.x FROM b JOIN b AS c ON b.x = c.x";
        let (steps, last) = (parse(sql).steps("slot", Chosen::Shared)).expect("has named queries");
        let steps: Vec<_> = steps.iter().map(|step| step.parsed.to_string()).collect();
        assert_eq!(steps, ["WITH a AS (SELECT 1 AS x) SELECT x FROM a"]);
        assert_eq!(
            last.parsed.to_string(),
            "SELECT b.x FROM \"slot0\" AS b JOIN \"slot0\" AS c ON b.x = c.x"
        );
    }

    #[test]
    fn named_queries_that_hide_others_are_left_alone() {
        let hidden =
            "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH a AS (SELECT 2 AS x) SELECT x FROM a)";
        assert!(parse(hidden).steps("slot", Chosen::All).is_none());
        let cased = parse(
            "WITH A AS (SELECT 1 AS x), b (y) AS (SELECT x FROM a) SELECT A.x, y FROM a AS \"A\", b",
        );
        let (steps, last) = cased.steps("slot", Chosen::All).expect("has named queries");
        assert_eq!(steps.len(), 1, "columns are named where they are read");
        assert_eq!(
            last.parsed.to_string(),
            "WITH b (y) AS (SELECT x FROM \"slot0\" AS a) SELECT A.x, y FROM \"slot0\" AS \"A\", b"
        );
    }

    #[test]
    fn a_syntax_error_says_where() {
        let error = Statement::parse_all("SELECT 1 FROM")
            .expect_err("is cut")
            .to_string();
        assert!(!error.contains("ParserError"), "{error}");
    }
}
