//! A Markdown document: a heading, the description and the table of each query.

use std::io::Write;

use anyhow::Result;

use super::{Report, instant};
use crate::render::{MarkdownRenderer, Render};

/// Writes a report as Markdown.
pub fn write_markdown(report: &Report, mut out: impl Write) -> Result<()> {
    let window = report.window;
    writeln!(out, "# Where recordings went\n")?;
    writeln!(
        out,
        "From {} to {} UTC, by {}. Each table is a query of `queries/reports/`. `--as-of {}` gives the same numbers again.",
        instant(window.since),
        instant(window.until),
        window.period.as_str(),
        report.table_versions
    )?;
    for section in &report.sections {
        writeln!(out, "\n## {} (`{}`)\n", section.title, section.query)?;
        writeln!(out, "{}\n", section.description)?;
        if section.rows.is_empty() {
            writeln!(out, "None.")?;
            continue;
        }
        let renderer = MarkdownRenderer::new(&mut out, section.batch.schema_ref())?;
        let mut renderer: Box<dyn Render + '_> = Box::new(renderer);
        renderer.write(&section.batch)?;
        renderer.finish()?;
    }
    Ok(())
}
