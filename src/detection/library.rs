//! All of `queries/`, embedded at build, and what is found beside it in a directory of the user's own.
//!
//! Every detection is checked before any data is read: a header that lies is worse than none.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::ScalarValue;

use super::findings;
use super::front_matter::{self, Category, ColumnType, Header, ParamType, Severity};
use super::investigation::Investigation;
use super::report_query::ReportQuery;
use crate::engine::{Engine, Kept, Params, Sql, Statement, View, worth_keeping};

macro_rules! queries {
    ($($path:literal,)*) => {
        &[$( ($path, include_str!(concat!("../../queries/", $path))) ),*]
    };
}

/// The files of `queries/`; a test compares the list with the directory.
const EMBEDDED: &[(&str, &str)] = queries![
    "audit/lacking.sql",
    "audit/looks.sql",
    "audit/prefixes.sql",
    "audit/promises.sql",
    "audit/results.sql",
    "audit/sessions.sql",
    "audit/wrong.sql",
    "detections/acquire_start_disagreement.sql",
    "detections/backup_detour.sql",
    "detections/backup_never_returned.sql",
    "detections/conflicting_starts.sql",
    "detections/destination_mismatch.sql",
    "detections/environment_switching.sql",
    "detections/failed_then_switched.sql",
    "detections/ghost_start.sql",
    "detections/incomplete_files.sql",
    "detections/incomplete_payload.sql",
    "detections/missing_upload.sql",
    "detections/orphan_files.sql",
    "detections/record_before_response.sql",
    "detections/redundant_starts.sql",
    "detections/session_failures.sql",
    "detections/slow_or_cross_region_upload.sql",
    "detections/start_storm.sql",
    "detections/storage_credentials.sql",
    "detections/storage_switched_by_update.sql",
    "detections/unannounced_upload.sql",
    "detections/unstopped_session.sql",
    "detections/vendor_mismatch.sql",
    "detections/webhook_hygiene.sql",
    "investigations/believed_and_actual_by_day.sql",
    "investigations/buckets.sql",
    "investigations/candidates.sql",
    "investigations/coverage.sql",
    "investigations/dead_letters_by_reason.sql",
    "investigations/files_of_session.sql",
    "investigations/mismatches_by_bucket.sql",
    "investigations/reach.sql",
    "investigations/sessions.sql",
    "investigations/sessions_of_channel.sql",
    "investigations/starts.sql",
    "investigations/starts_by_caller.sql",
    "investigations/starts_close_together.sql",
    "investigations/timeline.sql",
    "investigations/timeline_of_session.sql",
    "investigations/witnesses.sql",
    "not_judged/backup_never_returned.sql",
    "not_judged/destination_mismatch.sql",
    "not_judged/ghost_start.sql",
    "not_judged/incomplete_files.sql",
    "not_judged/incomplete_payload.sql",
    "not_judged/missing_upload.sql",
    "not_judged/orphan_files.sql",
    "not_judged/record_before_response.sql",
    "not_judged/redundant_starts.sql",
    "not_judged/session_failures.sql",
    "not_judged/storage_credentials.sql",
    "not_judged/storage_switched_by_update.sql",
    "not_judged/unannounced_upload.sql",
    "not_judged/unstopped_session.sql",
    "not_judged/vendor_mismatch.sql",
    "not_judged/webhook_hygiene.sql",
    "reports/apps.sql",
    "reports/buckets.sql",
    "reports/caller_regions.sql",
    "reports/caller_versions.sql",
    "reports/causes.sql",
    "reports/fault_starts.sql",
    "reports/faults.sql",
    "reports/kinds.sql",
    "reports/kinds_by_period.sql",
    "reports/known_sessions.sql",
    "reports/lost_durations.sql",
    "reports/lost_sessions.sql",
    "reports/lost_summary.sql",
    "reports/not_judged_reasons.sql",
    "reports/overview.sql",
    "reports/periods.sql",
    "reports/span.sql",
    "reports/start_gaps.sql",
    "reports/vendor_pairs.sql",
    "reports/verified_through.sql",
    "reports/worst_channels.sql",
    "verify/positions.sql",
    "verify/spans.sql",
    "views/accepted_starts.sql",
    "views/api_calls.sql",
    "views/audits.sql",
    "views/backup_signs.sql",
    "views/believed.sql",
    "views/bucket_looks.sql",
    "views/dead_letters.sql",
    "views/event_times.sql",
    "views/failed_call_chains.sql",
    "views/failed_calls.sql",
    "views/file_upload_statuses.sql",
    "views/idle_chains.sql",
    "views/incomplete_arrivals.sql",
    "views/log_rows.sql",
    "views/monitored_buckets.sql",
    "views/partition_hours.sql",
    "views/positions.sql",
    "views/record_versions.sql",
    "views/session_arrivals.sql",
    "views/session_audits.sql",
    "views/session_backups.sql",
    "views/session_beliefs.sql",
    "views/session_diagnoses.sql",
    "views/session_ends.sql",
    "views/session_files.sql",
    "views/session_geographies.sql",
    "views/session_landings.sql",
    "views/session_lifecycles.sql",
    "views/session_lookups.sql",
    "views/session_notices.sql",
    "views/session_paths.sql",
    "views/session_places.sql",
    "views/session_promises.sql",
    "views/session_records.sql",
    "views/session_sequences.sql",
    "views/session_timeline.sql",
    "views/session_uploads.sql",
    "views/session_whereabouts.sql",
    "views/session_writes.sql",
    "views/sessions.sql",
    "views/started_sessions.sql",
    "views/starts.sql",
    "views/storage_events.sql",
    "views/stream_watermarks.sql",
    "views/tickets.sql",
    "views/unannounced_arrivals.sql",
    "views/unexplained_arrivals.sql",
    "views/unseen_uploads.sql",
    "views/upload_status.sql",
    "views/user_arrivals.sql",
    "views/vendors.sql",
    "views/waiting_backups.sql",
    "views/watermarks.sql",
    "views/webhooks.sql",
];

/// A query of any folder, as its file has it.
#[derive(Debug, Clone)]
pub struct Query {
    /// `folder/stem`.
    pub name: String,
    /// Where it is from, for messages.
    pub path: String,
    pub sql: Sql,
    pub header: Option<Header>,
}

/// A checked query whose rows are findings.
#[derive(Debug, Clone)]
pub struct Detection {
    pub name: String,
    pub header: Header,
    /// The highest severity its rows can have.
    pub severity: Severity,
    pub(super) statement: Statement,
    /// Says of which sessions it could not judge, and why.
    pub(super) not_judged: Option<Statement>,
}

/// Values that replace a detection's defaults: detection -> parameter -> value.
pub type Overrides = BTreeMap<String, BTreeMap<String, ScalarValue>>;

/// All queries by name.
#[derive(Debug, Clone)]
pub struct Library {
    queries: BTreeMap<String, Query>,
    detections: Vec<Detection>,
    reports: Vec<ReportQuery>,
    investigations: Vec<Investigation>,
}

impl Library {
    /// Returns the queries that come with the program.
    pub fn embedded() -> Result<Library> {
        Library::with_directory(None)
    }

    /// Returns the queries that come with the program and those under `directory`, which has the same
    /// folders; a file of the same name replaces ours.
    pub fn with_directory(directory: Option<&Path>) -> Result<Library> {
        let mut files: BTreeMap<String, (String, String)> = EMBEDDED
            .iter()
            .map(|(path, sql)| {
                (
                    path.to_string(),
                    (format!("queries/{path}"), sql.to_string()),
                )
            })
            .collect();
        if let Some(directory) = directory {
            files.extend(read_directory(directory)?);
        }
        let mut queries = BTreeMap::new();
        for (relative, (path, sql)) in files {
            let name = relative.trim_end_matches(".sql").to_string();
            let header = Header::parse(&path, &sql)?;
            let query = Query {
                name: name.clone(),
                path,
                sql: sql.as_str().into(),
                header,
            };
            queries.insert(name, query);
        }
        let reports = || {
            in_folder(&queries, "reports/")
                .map(|(name, query)| {
                    ReportQuery::check(name, query).with_context(|| query.path.clone())
                })
                .collect::<Result<Vec<_>>>()
        };
        let detections = in_folder(&queries, "detections/").map(|(name, query)| {
            let not_judged = queries.get(&format!("not_judged/{name}"));
            Detection::check(name, query, not_judged).with_context(|| query.path.clone())
        });
        // Parsing them is what makes a command slow to begin: two threads share it.
        let (detections, reports) = std::thread::scope(|scope| {
            let reports = scope.spawn(|| {
                let views = in_folder(&queries, "views/");
                // What is wrong with one is said by whoever needs it.
                views.for_each(|(_, query)| drop(query.sql.statement()));
                reports()
            });
            let detections = detections.collect::<Result<Vec<_>>>();
            let reports = reports.join();
            (
                detections,
                reports.unwrap_or_else(|panic| resume_unwind(panic)),
            )
        });
        let (detections, reports) = (detections?, reports?);
        for (name, query) in in_folder(&queries, "not_judged/") {
            let known = detections.iter().any(|detection| detection.name == name);
            ensure!(known, "{}: there is no detection `{name}`", query.path);
        }
        let investigations = in_folder(&queries, "investigations/")
            .filter_map(|(name, query)| Some((name, query, query.header.as_ref()?)))
            .filter(|(_, _, header)| header.status.is_some())
            .map(|(name, query, header)| {
                Investigation::check(name, header, &query.sql).with_context(|| query.path.clone())
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Library {
            queries,
            detections,
            reports,
            investigations,
        })
    }

    /// Returns the views, for [`crate::engine::EngineOptions`].
    pub fn views(&self) -> Vec<View> {
        in_folder(&self.queries, "views/")
            .map(|(name, query)| View {
                name: name.to_string(),
                sql: query.sql.clone(),
                sliced_by: (query.header.as_ref()).and_then(|header| header.sliced_by.clone()),
                may_be_kept: query.header.as_ref().is_some_and(|header| header.kept),
            })
            .collect()
    }

    /// Returns the views that these queries build on, by `folder/stem`: what a session that runs nothing else needs.
    pub fn views_under(&self, queries: &[&str]) -> Result<Vec<View>> {
        let needs = self.view_needs()?;
        let mut reached = BTreeSet::new();
        for name in queries {
            let query =
                (self.query(name)).with_context(|| format!("there is no query `{name}`"))?;
            reached.extend(reached_from(&needs, query.sql.relations()?));
        }
        let mut views = self.views();
        views.retain(|view| reached.contains(view.name.as_str()));
        Ok(views)
    }

    /// Returns what each view reads itself.
    fn view_needs(&self) -> Result<ViewNeeds<'_>> {
        in_folder(&self.queries, "views/")
            .map(|(name, query)| Ok((name, query.sql.relations()?)))
            .collect()
    }

    /// Returns what a run of these detections (all where none is named) keeps: the views that say so of themselves and
    /// that would be computed more than once, or with more memory.
    pub fn kept_views(&self, only: &[String]) -> Result<Kept> {
        let mut readers = Vec::new();
        for detection in self.select(only)? {
            readers.extend([Some(&detection.statement), detection.not_judged.as_ref()]);
        }
        self.kept_for(readers.into_iter().flatten().cloned().collect())
    }

    /// Returns what the queries of a report share, and all detections with them.
    pub fn kept_views_of_report(&self) -> Result<Kept> {
        let Kept { mut readers, .. } = self.kept_views(&[])?;
        let (kept, read) = (self.reports.iter()).partition::<Vec<_>, _>(|query| query.header.kept);
        readers.extend(read.into_iter().map(|query| query.statement.clone()));
        // Each is computed once, by whoever is the first to read it.
        let computed = kept.iter().map(|query| query.statement.clone());
        let shared = self.kept_for(readers.iter().cloned().chain(computed).collect())?;
        let added = kept.into_iter().map(|query| View {
            name: query.name.clone(),
            sql: query.sql.clone(),
            sliced_by: None,
            may_be_kept: true,
        });
        Ok(Kept {
            added: added.collect(),
            readers,
            ..shared
        })
    }

    fn kept_for(&self, readers: Vec<Statement>) -> Result<Kept> {
        Ok(Kept {
            views: worth_keeping(&self.views(), &readers)?,
            readers,
            ..Kept::default()
        })
    }

    /// Says whether a query, by `folder/stem`, is the one that comes with the program.
    pub fn is_ours(&self, name: &str) -> bool {
        let path = format!("{name}.sql");
        let ours = EMBEDDED.iter().find(|(known, _)| *known == path);
        let query = self.queries.get(name);
        ours.zip(query)
            .is_some_and(|((_, sql), query)| **sql == *query.sql)
    }

    /// Returns a query by `folder/stem`.
    pub fn query(&self, name: &str) -> Option<&Query> {
        self.queries.get(name)
    }

    /// Returns the statement of a query by `folder/stem`, for a command that needs it.
    pub fn statement(&self, name: &str) -> Result<&Statement> {
        let query = self.query(name);
        let query = query.with_context(|| format!("the query `{name}` is missing"))?;
        query.sql.statement()
    }

    /// Returns the detections in order of name.
    pub fn detections(&self) -> &[Detection] {
        &self.detections
    }

    /// Returns the queries of reports in order of name.
    pub fn reports(&self) -> &[ReportQuery] {
        &self.reports
    }

    /// Returns the detections as the table that reports read: detection, title, category (null where the
    /// header has none) and severity.
    pub fn detection_table(&self) -> Result<RecordBatch> {
        let column = |value: fn(&Detection) -> Option<String>| -> ArrayRef {
            Arc::new(self.detections.iter().map(value).collect::<StringArray>())
        };
        let category = |detection: &Detection| {
            let category = detection.header.category;
            category.map(|category: Category| category.as_str().to_string())
        };
        Ok(RecordBatch::try_from_iter_with_nullable([
            (
                "detection",
                column(|detection| Some(detection.name.clone())),
                true,
            ),
            (
                "title",
                column(|detection| Some(detection.header.title.clone())),
                true,
            ),
            ("category", column(category), true),
            (
                "severity",
                column(|detection| Some(detection.severity.to_string())),
                true,
            ),
        ])?)
    }

    /// Returns the queries that people run by name, in order of name.
    pub fn investigations(&self) -> &[Investigation] {
        &self.investigations
    }

    /// Returns one of them, or an error that names all there are.
    pub fn investigation(&self, name: &str) -> Result<&Investigation> {
        let mut all = self.investigations.iter();
        all.find(|known| known.name == name).ok_or_else(|| {
            let all = self.investigations.iter();
            let known: Vec<_> = all.map(|known| known.name.as_str()).collect();
            anyhow!("there is no query `{name}`; there are {}", known.join(", "))
        })
    }

    /// Returns a table of them: name, title and parameters.
    pub fn investigations_catalog(&self) -> Result<RecordBatch> {
        let all = || self.investigations.iter();
        let text = |value: fn(&Investigation) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(all().map(value)))
        };
        Ok(RecordBatch::try_from_iter([
            ("query", text(|query| query.name.clone())),
            ("title", text(|query| query.header.title.clone())),
            ("params", text(|query| described_params(&query.header))),
        ])?)
    }

    /// Returns a table of the detections: name, severity, status, patterns, title and parameters.
    pub fn catalog(&self) -> Result<RecordBatch> {
        let mut columns: [Vec<String>; 6] = Default::default();
        for detection in &self.detections {
            let header = &detection.header;
            let values = [
                detection.name.clone(),
                detection.severity.to_string(),
                header
                    .status
                    .map_or(String::new(), |status| status.to_string()),
                header.patterns.join(", "),
                header.title.clone(),
                described_params(header),
            ];
            for (column, value) in columns.iter_mut().zip(values) {
                column.push(value);
            }
        }
        let arrays = columns.map(|values| Arc::new(StringArray::from(values)) as ArrayRef);
        let names = [
            "detection",
            "severity",
            "status",
            "patterns",
            "title",
            "params",
        ];
        Ok(RecordBatch::try_from_iter(names.into_iter().zip(arrays))?)
    }

    /// Returns the detections of these names, all where none is named.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Detection>> {
        if names.is_empty() {
            return Ok(self.detections.iter().collect());
        }
        let names: BTreeSet<&String> = names.iter().collect();
        names.into_iter().map(|name| self.detection(name)).collect()
    }

    fn detection(&self, name: &str) -> Result<&Detection> {
        self.detections
            .iter()
            .find(|detection| detection.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = self
                    .detections
                    .iter()
                    .map(|known| known.name.as_str())
                    .collect();
                anyhow!(
                    "there is no detection `{name}`; there are {}",
                    known.join(", ")
                )
            })
    }

    /// Returns the values of the configuration and, over them, of `detection.param=value` flags.
    pub fn overrides(
        &self,
        configured: &BTreeMap<String, BTreeMap<String, toml::Value>>,
        flags: &[String],
    ) -> Result<Overrides> {
        let mut overrides = Overrides::new();
        for (detection, values) in configured {
            for (param, value) in values {
                let kind = self.detection(detection)?.param_type(param)?;
                let value = kind
                    .value(value)
                    .with_context(|| format!("detect.params.{detection}.{param}"))?;
                overrides
                    .entry(detection.clone())
                    .or_default()
                    .insert(param.clone(), value);
            }
        }
        for flag in flags {
            let parts = flag
                .split_once('=')
                .and_then(|(path, value)| Some((path.split_once('.')?, value)));
            let Some(((detection, param), value)) = parts else {
                bail!("--param {flag}: write detection.param=value");
            };
            let kind = self.detection(detection)?.param_type(param)?;
            let value = kind
                .parse(value)
                .with_context(|| format!("--param {flag}"))?;
            overrides
                .entry(detection.to_string())
                .or_default()
                .insert(param.to_string(), value);
        }
        Ok(overrides)
    }

    /// Plans every detection and compares its columns with those that it must give. Reads no data.
    pub async fn check_columns(&self, engine: &Engine) -> Result<()> {
        for detection in &self.detections {
            let params = detection.example_params();
            let check = async {
                let schema = engine.output_schema(&detection.statement, &params).await?;
                findings::check_columns(&schema, &detection.columns())?;
                if let Some(statement) = &detection.not_judged {
                    let schema = engine.output_schema(statement, &params).await?;
                    let columns = findings::not_judged_columns();
                    findings::check_columns(&schema, &columns).context("not_judged")?;
                }
                anyhow::Ok(())
            };
            check
                .await
                .with_context(|| format!("detection `{}`", detection.name))?;
        }
        for query in &self.investigations {
            let check = async {
                let params = query.example_params();
                let schema = engine.output_schema(&query.statement, &params).await?;
                findings::check_columns(&schema, &query.columns())
            };
            check
                .await
                .with_context(|| format!("query `{}`", query.name))?;
        }
        Ok(())
    }
}

impl Detection {
    /// Checks all that can be known without data.
    fn check(name: &str, query: &Query, not_judged: Option<&Query>) -> Result<Detection> {
        let header = query
            .header
            .clone()
            .context("a detection needs a header between two lines `-- ---`")?;
        ensure!(
            header.name == name,
            "the header's name is `{}`, the file's `{name}`",
            header.name
        );
        let severity = header.severity.context("the header needs `severity`")?;
        ensure!(header.status.is_some(), "the header needs `status`");
        ensure!(
            header.response.is_some(),
            "the header needs `response`: what should a person do?"
        );
        let statement = checked_statement(&query.sql)?;
        let not_judged = not_judged
            .map(|query| checked_statement(&query.sql).with_context(|| query.path.clone()))
            .transpose()?;
        check_params(&header, &statement, not_judged.as_ref())?;
        check_identity(&header)?;
        Ok(Detection {
            name: name.to_string(),
            header,
            severity,
            statement,
            not_judged,
        })
    }

    /// Returns the columns its query gives: those of every finding, and its own.
    pub(super) fn columns(&self) -> BTreeMap<String, ColumnType> {
        let mut columns = findings::given_columns();
        let own = self.header.columns.iter();
        columns.extend(own.map(|(name, column)| (name.clone(), column.kind)));
        columns
    }

    /// Returns its parameters with the values given for this run, else their defaults.
    pub(super) fn params(&self, overrides: &Overrides) -> Result<Params> {
        let none = BTreeMap::new();
        front_matter::bind(
            &self.header.params,
            overrides.get(&self.name).unwrap_or(&none),
        )
    }

    fn param_type(&self, param: &str) -> Result<ParamType> {
        match self.header.params.get(param) {
            Some(param) => Ok(param.kind),
            None => {
                let known: Vec<_> = self.header.params.keys().map(String::as_str).collect();
                bail!(
                    "detection `{}` has no parameter `{param}`; it has: {}",
                    self.name,
                    known.join(", ")
                )
            }
        }
    }

    /// Returns a value of the right type for each parameter, to plan with.
    fn example_params(&self) -> Params {
        self.header
            .params
            .iter()
            .map(|(name, param)| (name.clone(), param.kind.null()))
            .collect()
    }
}

/// Says of each parameter what it is and what it is without being given, a line each.
fn described_params(header: &Header) -> String {
    let params = header.params.iter().map(|(name, param)| {
        let default = param.default.as_ref();
        let default = default.map_or("required".to_string(), |default| {
            default.as_str().map_or(default.to_string(), str::to_string)
        });
        match default.as_str() {
            "" => format!("{name} (may be left out): {}", param.doc),
            _ => format!("{name} = {default}: {}", param.doc),
        }
    });
    params.collect::<Vec<_>>().join("\n")
}

/// Parses a query that must give the same rows in the same order whenever it runs over the same data.
pub(super) fn checked_statement(sql: &str) -> Result<Statement> {
    let statement = Statement::parse_one(sql)?;
    if let Some(function) = statement.volatile_functions().first() {
        bail!("`{function}` makes two runs over the same data differ; take a parameter instead");
    }
    ensure!(
        statement.is_ordered(),
        "it must end with ORDER BY, so that its rows have one order"
    );
    Ok(statement)
}

/// Compares declared with used parameters, both ways.
pub(super) fn check_params(
    header: &Header,
    statement: &Statement,
    not_judged: Option<&Statement>,
) -> Result<()> {
    let mut used = statement.params();
    used.extend(not_judged.map(Statement::params).unwrap_or_default());
    for name in &used {
        ensure!(
            header.params.contains_key(name),
            "`${name}` is used but not in [params]"
        );
    }
    for (name, param) in &header.params {
        ensure!(
            used.contains(name),
            "`{name}` is in [params] but `${name}` is not used"
        );
        if let Some(default) = &param.default {
            param
                .kind
                .value(default)
                .with_context(|| format!("default of `{name}`"))?;
        }
    }
    Ok(())
}

/// An id must not change when the same fault is found again with more evidence.
fn check_identity(header: &Header) -> Result<()> {
    ensure!(
        !header.identity.is_empty(),
        "the header needs `identity`: which columns say which fault it is?"
    );
    let standard = findings::given_columns();
    for name in &header.identity {
        let declared = header.columns.get(name).map(|column| column.kind);
        let Some(kind) = declared.or_else(|| standard.get(name).copied()) else {
            bail!("identity column `{name}` is neither a column of every finding nor in [columns]");
        };
        let is_stable = !matches!(
            kind,
            ColumnType::Timestamp | ColumnType::Strings | ColumnType::Duration
        ) && !["severity", "variant", "explanation"].contains(&name.as_str());
        ensure!(
            is_stable,
            "identity column `{name}` may change when the fault is found again"
        );
    }
    Ok(())
}

/// The relations that each view reads.
type ViewNeeds<'l> = BTreeMap<&'l str, &'l BTreeSet<String>>;

/// Returns the views among relations, and those that these build on.
fn reached_from<'l>(views: &ViewNeeds<'l>, relations: &BTreeSet<String>) -> BTreeSet<&'l str> {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<&String> = relations.iter().collect();
    while let Some(relation) = ahead.pop() {
        let Some((view, needs)) = views.get_key_value(relation.as_str()) else {
            continue;
        };
        if reached.insert(*view) {
            ahead.extend(needs.iter());
        }
    }
    reached
}

/// Returns the queries of one folder by stem.
fn in_folder<'q>(
    queries: &'q BTreeMap<String, Query>,
    folder: &'static str,
) -> impl Iterator<Item = (&'q str, &'q Query)> {
    queries
        .iter()
        .filter_map(move |(name, query)| Some((name.strip_prefix(folder)?, query)))
}

/// Reads `directory/<folder>/<stem>.sql`; other files are left alone.
fn read_directory(directory: &Path) -> Result<BTreeMap<String, (String, String)>> {
    let mut files = BTreeMap::new();
    let entries = |path: &Path| -> Result<Vec<std::fs::DirEntry>> {
        std::fs::read_dir(path)
            .and_then(Iterator::collect)
            .with_context(|| format!("cannot read the directory `{}`", path.display()))
    };
    for folder in entries(directory)? {
        if !folder.path().is_dir() {
            continue;
        }
        for file in entries(&folder.path())? {
            let path = file.path();
            if path.extension().is_none_or(|extension| extension != "sql") {
                continue;
            }
            let sql = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            let relative = format!(
                "{}/{}",
                folder.file_name().to_string_lossy(),
                file.file_name().to_string_lossy()
            );
            files.insert(relative, (path.display().to_string(), sql));
        }
    }
    ensure!(
        !files.is_empty(),
        "there are no queries in `{}`; put them into `views/` and `detections/` under it",
        directory.display()
    );
    Ok(files)
}

#[cfg(test)]
mod tests;
