//! One HTML page that needs nothing else: styles, charts and numbers are in it.
//!
//! Every number stands in a table that is plain HTML; the charts are drawn over the same rows, which the page
//! carries as JSON. Channel names and the like are other people's text: cells are escaped, the JSON cannot end its
//! element, and the page's own policy lets nothing run or load but the two scripts it comes with.

mod blocks;
mod text;

use std::io::Write;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{Report, instant, json};
use blocks::{Block, block};
use text::escape;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Apache ECharts 6.0.0 as the npm registry has it (`dist/echarts.common.min.js`); its licenses lie beside it.
const ECHARTS: &str = include_str!("../echarts/echarts.common.min.js");
const ECHARTS_NOTICE: &str = include_str!("../echarts/NOTICE");

const TITLE: &str = "Where recordings went";

/// Writes a report as a page.
pub fn write_html(report: &Report, mut out: impl Write) -> Result<()> {
    let blocks = blocks::all(report);
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src '{}' '{}'",
        hash(ECHARTS),
        hash(SCRIPT)
    );
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"tapetrail {}\">\n\
         <title>{TITLE}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        env!("CARGO_PKG_VERSION"),
        escape(&window_text(report)),
    )?;
    write_head(report, &blocks, &mut out)?;
    writeln!(out, "<main id=\"content\">")?;
    for shown in &blocks {
        block(shown, &mut out)?;
    }
    writeln!(out, "</main>")?;
    write_foot(report, &mut out)?;
    writeln!(
        out,
        "<script type=\"application/json\" id=\"report\">{}</script>",
        embedded(report)?
    )?;
    writeln!(out, "<script>{ECHARTS}</script>")?;
    writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>")?;
    Ok(())
}

fn write_head(report: &Report, blocks: &[Block<'_>], out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "<a class=\"skip\" href=\"#content\">Skip to the numbers</a>\n<header>\n<h1>{TITLE}</h1>\n<p class=\"window\">{}</p>\n{}<nav aria-label=\"Sections\"><ul>",
        escape(&window_text(report)),
        blocks::completeness_line(report),
    )?;
    for block in blocks {
        writeln!(
            out,
            "<li><a href=\"#{}\">{}</a></li>",
            block.id,
            escape(&block.heading)
        )?;
    }
    writeln!(out, "</ul></nav>\n</header>")?;
    Ok(())
}

fn write_foot(report: &Report, out: &mut impl Write) -> Result<()> {
    let notice = ECHARTS_NOTICE.split_whitespace().collect::<Vec<_>>();
    writeln!(
        out,
        "<footer>\n<p>Every number is a cell of the query named beside its table, in <code>queries/reports/</code>. \
         Times are UTC. <code>tapetrail report --format json</code>, <code>csv</code> and <code>markdown</code> carry the same numbers; \
         with <code>--as-of {}</code> they are the same again, whatever has come since.</p>\n\
         <p class=\"notice\">Charts: {} Licensed under the Apache License, Version 2.0.</p>\n</footer>",
        escape(&report.table_versions),
        escape(&notice.join(" ")),
    )?;
    Ok(())
}

/// Says what time the report is about.
fn window_text(report: &Report) -> String {
    let window = report.window;
    format!(
        "{} to {} UTC, by {}",
        instant(window.since),
        instant(window.until),
        window.period.as_str()
    )
}

/// Returns the report as JSON that cannot end the element it stands in.
fn embedded(report: &Report) -> Result<String> {
    let text = serde_json::to_string(&json::object(report))?;
    // These characters occur in strings only, where an escape means the same.
    Ok(text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026"))
}

/// Returns a script's hash as a content security policy names it.
fn hash(script: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(script)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use serde_json::{Value, json};

    use super::*;
    use crate::detection::front_matter::ColumnType;
    use crate::report::{Column, Period, Section, Window};

    /// A name that tries to end its element, its attribute and its word.
    const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\">";

    fn page(rows: Vec<Vec<Value>>) -> String {
        let column = |name: &str, kind| Column {
            name: name.to_string(),
            kind,
            doc: HOSTILE.to_string(),
        };
        let section = Section {
            query: "worst_channels".to_string(),
            title: "Channels".to_string(),
            description: HOSTILE.to_string(),
            columns: vec![
                column("app_id", ColumnType::String),
                column("cname", ColumnType::String),
                column("routing_errors", ColumnType::Int64),
            ],
            batch: RecordBatch::new_empty(Arc::new(Schema::empty())),
            rows,
        };
        let report = Report {
            window: Window {
                since: 0,
                until: 1,
                previous_since: 0,
                period: Period::Day,
            },
            table_versions: "api_calls=1".to_string(),
            sections: vec![section],
        };
        let mut bytes = Vec::new();
        write_html(&report, &mut bytes).expect("writes");
        String::from_utf8(bytes).expect("is text")
    }

    #[test]
    fn a_hostile_name_stays_text() {
        let page = page(vec![vec![json!("app"), json!(HOSTILE), json!(3)]]);
        assert_eq!(page.matches("<script").count(), 3);
        assert_eq!(page.matches("</script>").count(), 3);
        assert!(!page.contains("<img src=x"));
        let command = "tapetrail investigate --cname=&#39;&lt;/script&gt;&lt;script&gt;alert(1)";
        assert!(page.contains(command));
        assert!(page.contains("alert(&#39;\\&#39;&#39;2&#39;\\&#39;&#39;)"));
    }

    #[test]
    fn a_report_without_findings_says_so() {
        let page = page(Vec::new());
        assert!(page.contains("<strong>None.</strong> Channels"));
    }

    #[test]
    fn the_scripts_are_what_the_policy_lets_run() {
        let page = page(Vec::new());
        for script in [ECHARTS, SCRIPT] {
            assert!(page.contains(&hash(script)));
            assert!(!script.contains("</script"));
        }
        assert!(page.contains("default-src 'none'"));
        assert_eq!(
            hash(ECHARTS),
            "sha256-/ZWPMYsTmJORhnR5ApD81z0Z2VO5EXXVJ3JQ/6oXfY4="
        );
    }
}
