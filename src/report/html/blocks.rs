//! What the page shows, in order: a heading, a sentence, charts and the tables that they are drawn from.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Result;
use serde_json::Value;

use super::text::{cell, escape, grouped, heading, shell, time};
use crate::detection::front_matter::ColumnType;
use crate::report::gather::ORDER;
use crate::report::{Column, Report, Section};

/// Rows beyond which a table scrolls on a screen.
const ROWS_OPEN_MAX: usize = 14;

/// Columns that the page leaves to the other formats: bounds that the class beside them says in words.
const LEFT_OUT: [&str; 3] = ["from_ms", "to_ms", "position"];

/// A part of the page.
pub(super) struct Block<'r> {
    pub id: String,
    pub heading: String,
    /// What the reader should see, one or two sentences.
    lead: String,
    parts: Vec<Part<'r>>,
}

enum Part<'r> {
    /// Drawn by the page's script under this name.
    Chart {
        name: &'static str,
        label: &'static str,
        is_tall: bool,
    },
    Table(&'r Section),
    /// HTML that a function below has made.
    Html(String),
}

/// Returns all parts of the page that the report has something for, or says that there is nothing.
pub(super) fn all(report: &Report) -> Vec<Block<'_>> {
    let mut blocks = vec![
        overview(report),
        Block {
            id: "trend".to_string(),
            heading: "Trend".to_string(),
            lead: format!(
                "Routing errors by {0}, and their rate per 1,000 starts; each {0} beside the one before it. A {0} that is not complete can still grow.",
                report.window.period.as_str()
            ),
            parts: vec![
                chart("trend_count", "Bars: routing errors in each period. The dashed line is the window before, where the lake has it. The numbers are in the table below."),
                chart("trend_rate", "Line: routing errors per 1,000 starts in each period. The dashed line is the window before, where the lake has it. The numbers are in the table below."),
                table(report, "periods"),
            ],
        },
        Block {
            id: "kinds".to_string(),
            heading: "Kinds of errors".to_string(),
            lead: "Routing errors first; what else went wrong below them.".to_string(),
            parts: vec![
                tall("kinds", "Bars: routing errors of each kind. The numbers are in the table below."),
                Part::Html(kinds_by_period(report)),
                table(report, "kinds"),
            ],
        },
        Block {
            id: "causes".to_string(),
            heading: "Root causes".to_string(),
            lead: "Why the routing errors happened.".to_string(),
            parts: vec![
                chart("causes", "Bars: routing errors of each root cause. The numbers are in the table below."),
                table(report, "causes"),
            ],
        },
        Block {
            id: "vendors".to_string(),
            heading: "Believed and actual vendor".to_string(),
            lead: "Where the customer's record has the files, and where they are. Framed cells: the right vendor, but another bucket or path.".to_string(),
            parts: vec![Part::Html(vendor_matrix(report)), table(report, "vendor_pairs")],
        },
        Block {
            id: "buckets".to_string(),
            heading: "Buckets".to_string(),
            lead: "Files of routing errors: believed here, or actually here.".to_string(),
            parts: vec![
                tall("buckets", "Bars: routing errors about files believed in a bucket, and about files that are in it. The numbers are in the table below."),
                table(report, "buckets"),
            ],
        },
        Block {
            id: "apps".to_string(),
            heading: "Apps".to_string(),
            lead: "Routing errors per 1,000 starts of each app.".to_string(),
            parts: vec![
                tall("apps", "Bars: routing errors per 1,000 starts of each app. The numbers are in the table below."),
                table(report, "apps"),
            ],
        },
        Block {
            id: "callers".to_string(),
            heading: "Callers".to_string(),
            lead: "Which region, and which release of which service, had a part in them. A race between two counts for both.".to_string(),
            parts: vec![
                tall("regions", "Bars: routing errors per 1,000 starts of each caller's region. The numbers are in the table below."),
                table(report, "caller_regions"),
                tall("versions", "Bars: routing errors per 1,000 starts of each release of each service. The numbers are in the table below."),
                table(report, "caller_versions"),
            ],
        },
        Block {
            id: "gaps".to_string(),
            heading: "Time between competing starts".to_string(),
            lead: "Milliseconds point at two workers or a double click, seconds at a retry, minutes at a second service.".to_string(),
            parts: vec![
                chart("gaps", "Bars: pairs of competing starts by the time between them. The numbers are in the table below."),
                table(report, "start_gaps"),
            ],
        },
        Block {
            id: "lost".to_string(),
            heading: "How long assets stayed lost".to_string(),
            lead: "Until the record was corrected or the files came home; for what is still lost, up to where the streams are complete.".to_string(),
            parts: vec![
                chart("lost", "Bars: lost sessions by how long they were, or have been, lost. The numbers are in the tables below."),
                table(report, "lost_summary"),
                table(report, "lost_durations"),
            ],
        },
        Block {
            id: "channels".to_string(),
            heading: "Worst channels".to_string(),
            lead: "Type the command to see what happened, call by call.".to_string(),
            parts: vec![Part::Html(channels(report))],
        },
        Block {
            id: "not-judged".to_string(),
            heading: "What could not be judged".to_string(),
            lead: "No verdict is not a good verdict: where evidence is lacking, the numbers above may be too low.".to_string(),
            parts: vec![table(report, "not_judged_reasons")],
        },
        Block {
            id: "complete".to_string(),
            heading: "How complete this is".to_string(),
            lead: "Up to which instant every stream has arrived, and whether every committed offset was found in the lake, once.".to_string(),
            parts: vec![table(report, "verified_through")],
        },
    ];
    blocks.extend(added(report));
    blocks
}

/// Returns a block for each query that the user has added.
fn added(report: &Report) -> impl Iterator<Item = Block<'_>> {
    let sections = report.sections.iter();
    let added = sections.filter(|section| !ORDER.contains(&section.query.as_str()));
    added.map(|section| Block {
        id: format!("query-{}", section.query.replace('_', "-")),
        heading: section.title.clone(),
        lead: String::new(),
        parts: vec![Part::Table(section)],
    })
}

/// Writes one block.
pub(super) fn block(block: &Block<'_>, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "<section id=\"{0}\" aria-labelledby=\"{0}-heading\">\n<h2 id=\"{0}-heading\">{1}</h2>",
        block.id,
        escape(&block.heading)
    )?;
    if !block.lead.is_empty() {
        writeln!(out, "<p class=\"lead\">{}</p>", escape(&block.lead))?;
    }
    for part in &block.parts {
        match part {
            Part::Chart {
                name,
                label,
                is_tall,
            } => writeln!(
                out,
                "<div class=\"chart{}\" data-chart=\"{name}\" role=\"img\" aria-label=\"{}\"></div>",
                if *is_tall { " tall" } else { "" },
                escape(label)
            )?,
            Part::Table(section) => out.write_all(plain_table(section).as_bytes())?,
            Part::Html(html) => out.write_all(html.as_bytes())?,
        }
    }
    writeln!(out, "</section>")?;
    Ok(())
}

fn chart<'r>(name: &'static str, label: &'static str) -> Part<'r> {
    Part::Chart {
        name,
        label,
        is_tall: false,
    }
}

/// A chart with a bar a row: the script gives it the height that its rows need.
fn tall<'r>(name: &'static str, label: &'static str) -> Part<'r> {
    Part::Chart {
        name,
        label,
        is_tall: true,
    }
}

fn table<'r>(report: &'r Report, query: &str) -> Part<'r> {
    match report.section(query) {
        Some(section) => Part::Table(section),
        None => Part::Html(String::new()),
    }
}

/// Says up to when the report can be trusted.
pub(super) fn completeness_line(report: &Report) -> String {
    let Some(section) = report.section("verified_through") else {
        return String::new();
    };
    let rows = 0..section.rows.len();
    let texts = |column: &str| -> Vec<String> {
        rows.clone()
            .filter_map(|row| section.value(row, column).as_str().map(str::to_string))
            .collect()
    };
    let broken = rows
        .clone()
        .filter(|row| section.value(*row, "is_whole") == &Value::Bool(false))
        .count();
    if broken > 0 {
        return "<p class=\"complete bad\">Rows are missing or there twice: run <code>tapetrail verify</code> before you trust these numbers.</p>\n".to_string();
    }
    let silent: Vec<&str> = rows
        .clone()
        .filter(|row| section.value(*row, "last_at").is_null())
        .filter_map(|row| section.value(row, "stream").as_str())
        .collect();
    let through = texts("verified_through").into_iter().min();
    let mut line = match through {
        Some(through) => format!(
            "Every stream is complete and verified through <strong>{}</strong> UTC.",
            time(&through)
        ),
        None => "No stream is complete up to any instant.".to_string(),
    };
    if !silent.is_empty() {
        line += &format!(
            " Never heard of: <strong>{}</strong>.",
            escape(&silent.join(", "))
        );
    }
    format!("<p class=\"complete\">{line}</p>\n")
}

fn overview(report: &Report) -> Block<'_> {
    let mut html = String::new();
    if let Some(section) = report.section("overview") {
        let tile = |name: &str, column: &str| {
            let value = section.value(0, column);
            let before = match section.rows.len() {
                2 => format!(
                    "<span class=\"before\">{} {} before</span>",
                    direction(value, section.value(1, column)),
                    number(section.value(1, column))
                ),
                _ => String::new(),
            };
            format!(
                "<li><span class=\"name\">{}</span><span class=\"value\">{}</span>{before}</li>\n",
                escape(name),
                number(value)
            )
        };
        html = format!(
            "<ul class=\"tiles\">\n{}{}{}{}{}{}</ul>\n",
            tile("Sessions", "sessions"),
            tile("Starts", "starts"),
            tile("Routing errors", "routing_errors"),
            tile("Per 1,000 starts", "per_1000_starts"),
            tile("Sessions hit", "sessions_with_routing_errors"),
            tile("Channels hit", "channels_with_routing_errors"),
        );
    }
    let compared = match report.section("overview").map(|section| section.rows.len()) {
        Some(2) => "Beside each number: the equally long window before.",
        _ => "The lake has nothing before this window to compare it with.",
    };
    Block {
        id: "overview".to_string(),
        heading: "Overview".to_string(),
        lead: format!(
            "A routing error is a recording that went, or was believed to go, elsewhere than meant. {compared}"
        ),
        parts: vec![Part::Html(html), table(report, "overview")],
    }
}

fn number(value: &Value) -> String {
    match value {
        Value::Number(number) => grouped(&number.to_string()),
        _ => "\u{2013}".to_string(),
    }
}

/// Returns an arrow from the number before to this one.
fn direction(value: &Value, before: &Value) -> &'static str {
    match value.as_f64().partial_cmp(&before.as_f64()) {
        Some(std::cmp::Ordering::Greater) => "\u{25b2}",
        Some(std::cmp::Ordering::Less) => "\u{25bc}",
        _ => "=",
    }
}

/// Returns a query's rows as a table, or one sentence where it has none.
fn plain_table(section: &Section) -> String {
    let name = escape(&section.query);
    let caption = format!(
        "<caption>{} <code>reports/{name}</code></caption>",
        escape(&section.title)
    );
    if section.rows.is_empty() {
        return format!(
            "<p class=\"empty\"><strong>None.</strong> {} <code>reports/{name}</code></p>\n",
            escape(&section.title)
        );
    }
    let columns: Vec<usize> = (0..section.columns.len())
        .filter(|at| !LEFT_OUT.contains(&section.columns[*at].name.as_str()))
        .collect();
    let mut html = open_scroll(&section.title, section.rows.len());
    html += &format!("<table>{caption}\n{}<tbody>\n", header(section, &columns));
    for cells in &section.rows {
        html += "<tr>";
        for at in &columns {
            html += &data_cell(&cells[*at], &section.columns[*at], *at == 0);
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

/// Opens the frame that a table scrolls in, reachable by keyboard.
fn open_scroll(label: &str, rows: usize) -> String {
    format!(
        "<div class=\"scroll{}\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">",
        if rows > ROWS_OPEN_MAX { " long" } else { "" },
        escape(label)
    )
}

fn header(section: &Section, columns: &[usize]) -> String {
    let cells: String = columns
        .iter()
        .map(|at| {
            let column = &section.columns[*at];
            format!(
                "<th scope=\"col\"{} title=\"{}\">{}</th>",
                align(column),
                escape(&column.doc),
                escape(&heading(&column.name))
            )
        })
        .collect();
    format!("<thead><tr>{cells}</tr></thead>\n")
}

fn data_cell(value: &Value, column: &Column, is_first: bool) -> String {
    let text = cell(value, column);
    match is_first {
        true => format!("<th scope=\"row\"{}>{text}</th>", align(column)),
        false => format!("<td{}>{text}</td>", align(column)),
    }
}

/// Numbers line up at the right; ids may break anywhere.
fn align(column: &Column) -> &'static str {
    match column.kind {
        ColumnType::Int64 | ColumnType::Float64 => " class=\"number\"",
        ColumnType::Timestamp => " class=\"time\"",
        // Sentences rather than words.
        ColumnType::String if ["title", "why", "kinds"].contains(&column.name.as_str()) => {
            " class=\"long\""
        }
        _ => "",
    }
}

/// Returns one row a kind and one column a period, shaded by how many.
fn kinds_by_period(report: &Report) -> String {
    let (Some(section), Some(periods)) =
        (report.section("kinds_by_period"), report.section("periods"))
    else {
        return String::new();
    };
    if section.rows.is_empty() {
        return String::new();
    }
    let starts: Vec<&str> = (0..periods.rows.len())
        .filter(|row| periods.value(*row, "series") == "current")
        .filter_map(|row| periods.value(row, "period_start").as_str())
        .collect();
    let rows = 0..section.rows.len();
    let kinds: BTreeSet<&str> = rows
        .clone()
        .filter_map(|row| section.value(row, "detection").as_str())
        .collect();
    let count = |kind: &str, start: &str| {
        let is_it = |row: &usize| {
            section.value(*row, "detection") == kind && section.value(*row, "period_start") == start
        };
        let row = rows.clone().find(is_it);
        row.and_then(|row| section.value(row, "findings").as_i64())
            .unwrap_or(0)
    };
    let most = rows
        .clone()
        .filter_map(|row| section.value(row, "findings").as_i64())
        .max()
        .unwrap_or(1);
    let mut html = open_scroll(&section.title, 0);
    html += &format!(
        "<table class=\"heat\"><caption>{} <code>reports/{}</code></caption>\n<thead><tr><th scope=\"col\">Kind</th>",
        escape(&section.title),
        escape(&section.query)
    );
    for start in &starts {
        let day = start.get(5..10).unwrap_or(start);
        html += &format!(
            "<th scope=\"col\" class=\"number\"><time datetime=\"{}\">{}</time></th>",
            escape(start),
            escape(day)
        );
    }
    html += "</tr></thead>\n<tbody>\n";
    for kind in kinds {
        html += &format!("<tr><th scope=\"row\">{}</th>", escape(kind));
        for start in &starts {
            html += &heat_cell(count(kind, start), most, "");
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

/// Returns a cell shaded in one of nine steps, so that no style depends on a number.
fn heat_cell(count: i64, most: i64, class: &str) -> String {
    let step = match count {
        0 => 0,
        count => 1 + (count - 1) * 8 / most.max(1),
    };
    let text = match count {
        0 => "<span class=\"none\">0</span>".to_string(),
        count => grouped(&count.to_string()),
    };
    format!("<td class=\"number heat-{step}{class}\">{text}</td>")
}

/// Returns one row a believed vendor and one column an actual one, shaded by how many routing errors.
fn vendor_matrix(report: &Report) -> String {
    let Some(section) = report
        .section("vendor_pairs")
        .filter(|of| !of.rows.is_empty())
    else {
        return String::new();
    };
    let rows = 0..section.rows.len();
    // A vendor that is not known comes last.
    let vendors = |column: &str| -> Vec<Option<String>> {
        let known: BTreeSet<(bool, Option<String>)> = rows
            .clone()
            .map(|row| section.value(row, column).as_str().map(str::to_string))
            .map(|vendor| (vendor.is_none(), vendor))
            .collect();
        known.into_iter().map(|(_, vendor)| vendor).collect()
    };
    let (expected, actual) = (vendors("expected_vendor"), vendors("actual_vendor"));
    let name = |vendor: &Option<String>| {
        vendor
            .as_deref()
            .map_or("<em>not known</em>".to_string(), escape)
    };
    let count = |believed: &Option<String>, is_at: &Option<String>| {
        let is_it = |row: &usize| {
            section.value(*row, "expected_vendor").as_str() == believed.as_deref()
                && section.value(*row, "actual_vendor").as_str() == is_at.as_deref()
        };
        let row = rows.clone().find(is_it);
        row.and_then(|row| section.value(row, "routing_errors").as_i64())
            .unwrap_or(0)
    };
    let most = rows
        .clone()
        .filter_map(|row| section.value(row, "routing_errors").as_i64())
        .max()
        .unwrap_or(1);
    let mut html = open_scroll(&section.title, 0);
    html += &format!(
        "<table class=\"heat matrix\"><caption>Routing errors by believed vendor (rows) and actual vendor (columns) <code>reports/{}</code></caption>\n<thead><tr><th scope=\"col\">Believed \u{2193} actual \u{2192}</th>",
        escape(&section.query)
    );
    for vendor in &actual {
        html += &format!("<th scope=\"col\" class=\"number\">{}</th>", name(vendor));
    }
    html += "</tr></thead>\n<tbody>\n";
    for believed in &expected {
        html += &format!("<tr><th scope=\"row\">{}</th>", name(believed));
        for is_at in &actual {
            let errors = count(believed, is_at);
            let class = match errors > 0 && believed.is_some() && believed == is_at {
                true => " same",
                false => "",
            };
            html += &heat_cell(errors, most, class);
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

/// Returns the worst channels, each with the command that explains it.
fn channels(report: &Report) -> String {
    let Some(section) = report.section("worst_channels") else {
        return String::new();
    };
    if section.rows.is_empty() {
        return plain_table(section);
    }
    let columns: Vec<usize> = (0..section.columns.len())
        .filter(|at| section.columns[*at].name != "cname")
        .collect();
    let mut html = format!(
        "<ol class=\"channels\" aria-label=\"{}\">\n",
        escape(&section.title)
    );
    for (row, cells) in section.rows.iter().enumerate() {
        let facts: String = columns
            .iter()
            .map(|at| {
                let column = &section.columns[*at];
                format!(
                    "<div><dt title=\"{}\">{}</dt><dd>{}</dd></div>",
                    escape(&column.doc),
                    escape(&heading(&column.name)),
                    cell(&cells[*at], column)
                )
            })
            .collect();
        html += &format!(
            "<li><h3>{}</h3><dl>{facts}</dl><p class=\"command\"><code>{}</code> <button type=\"button\" data-copy>Copy</button></p></li>\n",
            escape(section.value(row, "cname").as_str().unwrap_or_default()),
            escape(&command(section, row)),
        );
    }
    html + &format!(
        "</ol>\n<p class=\"source\">{} <code>reports/{}</code></p>\n",
        escape(&section.title),
        escape(&section.query)
    )
}

/// Returns what to type about a channel.
fn command(section: &Section, row: usize) -> String {
    let mut command = "tapetrail investigate".to_string();
    for (flag, column) in [
        ("--cname", "cname"),
        ("--app", "app_id"),
        ("--at", "last_at"),
    ] {
        if let Some(value) = section.value(row, column).as_str() {
            // With `=`, a name that begins with a dash is a name, too.
            command += &format!(" {flag}={}", shell(value));
        }
    }
    command
}
