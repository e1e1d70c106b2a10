//! Sections or rows -> text: a page for a terminal, Markdown, JSON.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::answer;
use super::case::{Case, Row};
use super::layout::{Block, Section};

/// Width of a page that is not shown on a terminal.
const WIDTH_DEFAULT: usize = 120;

/// A narrower terminal wraps lines by itself.
const WIDTH_MIN: usize = 60;

/// Prints a page for a terminal of this width.
pub(super) fn screen(
    out: &mut impl Write,
    sections: &[Section],
    width: Option<usize>,
) -> Result<()> {
    let width = width.unwrap_or(WIDTH_DEFAULT).max(WIDTH_MIN);
    for section in sections {
        writeln!(out, "{}", section.title.to_uppercase())?;
        for (index, block) in section.blocks.iter().enumerate() {
            match block {
                Block::Text(text) => print_text(out, "", text, width)?,
                Block::Items(items) => {
                    for (index, item) in items.iter().enumerate() {
                        print_text(out, &format!("{}. ", index + 1), item, width)?;
                    }
                }
                Block::Grid(grid) => {
                    if index > 0 {
                        writeln!(out)?;
                    }
                    print_grid(out, grid, width)?;
                }
            }
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

/// Prints a page to paste into a ticket.
pub(super) fn markdown(out: &mut impl Write, sections: &[Section]) -> Result<()> {
    for section in sections {
        writeln!(out, "## {}\n", section.title)?;
        for block in &section.blocks {
            match block {
                Block::Text(text) => writeln!(out, "{}\n", printable(text))?,
                Block::Items(items) => {
                    for (index, item) in items.iter().enumerate() {
                        writeln!(out, "{}. {}", index + 1, printable(item))?;
                    }
                    writeln!(out)?;
                }
                Block::Grid(grid) => {
                    for (index, cells) in grid.iter().enumerate() {
                        let cells: Vec<String> = cells
                            .iter()
                            .map(|cell| printable(cell).replace('|', "\\|"))
                            .collect();
                        writeln!(out, "| {} |", cells.join(" | "))?;
                        if index == 0 {
                            writeln!(out, "|{}", " --- |".repeat(cells.len()))?;
                        }
                    }
                    writeln!(out)?;
                }
            }
        }
    }
    Ok(out.flush()?)
}

/// Prints the case as one object.
pub(super) fn json(out: &mut impl Write, case: &Case) -> Result<()> {
    let mut object = about(case);
    for (part, rows) in parts(case) {
        object[part] = json!(rows);
    }
    serde_json::to_writer_pretty(&mut *out, &object)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// Prints each row as an object of its own that says which part of the case it is.
pub(super) fn ndjson(out: &mut impl Write, case: &Case) -> Result<()> {
    let mut first = about(case);
    first["part"] = json!("case");
    writeln!(out, "{first}")?;
    for (part, rows) in parts(case) {
        for row in rows {
            let mut row = Value::Object(row.clone());
            row["part"] = json!(part);
            writeln!(out, "{row}")?;
        }
    }
    Ok(out.flush()?)
}

fn about(case: &Case) -> Value {
    json!({
        "app_id": case.subject.app_id,
        "cname": case.subject.cname,
        "sid": case.subject.sid,
        "verdict": answer::verdict(case),
        "next_steps": answer::next_steps(case),
        "table_versions": case.table_versions,
    })
}

fn parts(case: &Case) -> [(&'static str, &[Row]); 6] {
    [
        ("sessions", &case.sessions),
        ("findings", &case.findings),
        ("not_judged", &case.not_judged),
        ("starts", &case.starts),
        ("timeline", &case.timeline),
        ("coverage", &case.coverage),
    ]
}

/// Prints a paragraph behind its label; further lines stand below its text.
fn print_text(out: &mut impl Write, label: &str, text: &str, width: usize) -> Result<()> {
    let lines = wrap(&printable(text), width - 2 - label.len());
    let indent = label.len();
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        writeln!(out, "  {label:<indent$}{line}")?;
    }
    Ok(())
}

/// Prints cells in columns; the last column wraps into what is left of the width.
fn print_grid(out: &mut impl Write, grid: &[Vec<String>], width: usize) -> Result<()> {
    let columns = grid.iter().map(Vec::len).max().unwrap_or(0);
    let grid: Vec<Vec<String>> = grid
        .iter()
        .map(|cells| cells.iter().map(|cell| printable(cell)).collect())
        .collect();
    let widest = |column: usize| {
        grid.iter()
            .filter_map(|cells| cells.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let natural: Vec<usize> = (0..columns).map(widest).collect();
    let widths = fit(
        &natural,
        width.saturating_sub(2 + 2 * columns.saturating_sub(1)),
    );
    for cells in &grid {
        let wrapped: Vec<Vec<String>> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| wrap(cell, *width))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let texts: Vec<String> = wrapped
                .iter()
                .zip(&widths)
                .map(|(lines, width)| {
                    let text = lines.get(line).map_or("", String::as_str);
                    format!("{text:<width$}")
                })
                .collect();
            writeln!(out, "  {}", texts.join("  ").trim_end())?;
        }
    }
    Ok(())
}

/// Shortens the widest columns, one character at a time, until all fit into `total`.
fn fit(natural: &[usize], total: usize) -> Vec<usize> {
    const NARROWEST: usize = 12;
    let mut widths = natural.to_vec();
    while widths.iter().sum::<usize>() > total {
        match widths.iter_mut().filter(|width| **width > NARROWEST).max() {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    widths
}

/// Breaks a text at spaces into lines of at most `width` characters; a longer word is cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let used = line.chars().count();
            let needed = word.len() + usize::from(used > 0);
            if used + needed <= width {
                if used > 0 {
                    line.push(' ');
                }
                line.extend(&word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            let rest = word.split_off(width);
            line.extend(&word);
            lines.push(String::new());
            word = rest;
        }
    }
    lines
}

/// Replaces control characters: a channel name must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_breaks_at_spaces_and_a_long_word_is_cut() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        assert_eq!(fit(&[10, 40, 20], 50), [10, 20, 20]);
        assert_eq!(fit(&[5, 5], 50), [5, 5]);
    }

    #[test]
    fn a_page_shows_columns_and_no_control_characters() {
        let sections = [Section {
            title: "Case".to_string(),
            blocks: vec![
                Block::Text("channel a\u{1b}[2J".to_string()),
                Block::Grid(vec![
                    vec!["vendor".to_string(), "s3".to_string()],
                    vec!["x".to_string(), "y".to_string()],
                ]),
            ],
        }];
        let mut page = Vec::new();
        screen(&mut page, &sections, Some(80)).expect("prints");
        let page = String::from_utf8(page).expect("is text");
        assert_eq!(
            page,
            "CASE\n  channel a\u{fffd}[2J\n\n  vendor  s3\n  x       y\n\n"
        );
    }
}
