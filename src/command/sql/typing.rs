//! What helps a person while typing SQL: where a statement ends, which names could follow, where an error is.
//! Pure: text in, text out.

use std::collections::{BTreeMap, BTreeSet};

/// Words of SQL that are worth completing.
const KEYWORDS: [&str; 36] = [
    "ALL", "AND", "AS", "ASC", "BETWEEN", "BY", "CASE", "CAST", "DESC", "DISTINCT", "ELSE", "END",
    "EXPLAIN", "FALSE", "FROM", "FULL", "GROUP", "HAVING", "IN", "INNER", "INTERVAL", "IS", "JOIN",
    "LEFT", "LIKE", "LIMIT", "NOT", "NULL", "ON", "OR", "ORDER", "SELECT", "THEN", "UNION", "WHEN",
    "WHERE",
];

/// Commands of the prompt, with what they do.
pub(super) const COMMANDS: [(&str, &str); 8] = [
    (
        "\\d",
        "list tables and views; \\d NAME shows the columns of one",
    ),
    ("\\dt", "list the tables, which hold all that was received"),
    ("\\dv", "list the views"),
    (
        "\\dq",
        "list the queries to start from, with their parameters",
    ),
    ("\\query", "run one of them: \\query NAME [PARAM=VALUE ...]"),
    (
        "\\timing",
        "say how long each statement takes, or stop saying it",
    ),
    ("\\?", "this list"),
    ("\\q", "leave (also Ctrl-D)"),
];

/// Says whether what was typed can be run: a command, nothing, or SQL that ends with `;`.
pub(super) fn is_complete(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with('\\') || ends_statement(text)
}

/// Says whether the last thing in the text, comments aside, is a `;`.
fn ends_statement(text: &str) -> bool {
    let mut ends = false;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '\'' | '"' => quoted(rest, next),
            '-' if rest.starts_with("--") => Some(rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => rest.find("*/").map(|end| end + 2),
            _ => {
                if !next.is_whitespace() {
                    ends = next == ';';
                }
                Some(next.len_utf8())
            }
        };
        // What is opened and not closed goes on in the next line.
        let Some(skipped) = skipped else { return false };
        if matches!(next, '\'' | '"') {
            ends = false;
        }
        rest = &rest[skipped..];
    }
    ends
}

/// Returns the length of a quoted text, its quotes included; a doubled quote stands for itself.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// All names that SQL can use here.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Columns by table or view.
    pub relations: BTreeMap<String, Vec<String>>,
    pub functions: BTreeSet<String>,
    pub queries: Vec<String>,
}

impl Names {
    /// Returns where the word before `position` begins, and what it could become.
    pub fn complete(&self, text: &str, position: usize) -> (usize, Vec<String>) {
        let before = &text[..position];
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '\\' || c == '?';
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_of_word(*c))
            .last()
            .map_or(position, |(at, _)| at);
        let (word, before) = (&before[start..], &before[..start]);
        let mut found: Vec<String> = if word.starts_with('\\') {
            COMMANDS.map(|(name, _)| name.to_string()).to_vec()
        } else if let Some(owner) = before.strip_suffix('.') {
            self.columns_of(text, owner)
        } else {
            self.after(text, before)
        };
        let word = word.to_lowercase();
        found.retain(|name| name.to_lowercase().starts_with(&word));
        (start, found)
    }

    /// Returns what can follow the text: relations after FROM and JOIN, else columns before the rest.
    fn after(&self, text: &str, before: &str) -> Vec<String> {
        let last = before.split_whitespace().next_back().unwrap_or_default();
        match last.to_lowercase().as_str() {
            "from" | "join" | "\\d" => self.relations.keys().cloned().collect(),
            "\\query" => self.queries.clone(),
            _ => {
                let mut found = self.columns_in(text);
                found.extend(self.functions.iter().cloned());
                found.extend(KEYWORDS.map(str::to_string));
                found.extend(self.relations.keys().cloned());
                let mut seen = BTreeSet::new();
                found.retain(|name| seen.insert(name.clone()));
                found
            }
        }
    }

    /// Returns the columns of the relations that the text names, of all where it names none.
    fn columns_in(&self, text: &str) -> Vec<String> {
        let words: BTreeSet<&str> = words(text).collect();
        let is_named = |relation: &String| words.contains(relation.as_str());
        let any = self.relations.keys().any(is_named);
        let columns: BTreeSet<&String> = (self.relations.iter())
            .filter(|(relation, _)| !any || is_named(relation))
            .flat_map(|(_, columns)| columns)
            .collect();
        columns.into_iter().cloned().collect()
    }

    /// Returns the columns behind `name.`: of the relation of that name, or of the one that has it as an alias.
    fn columns_of(&self, text: &str, before: &str) -> Vec<String> {
        let name = words(before).last().unwrap_or_default();
        let all: Vec<&str> = words(text)
            .filter(|word| !word.eq_ignore_ascii_case("as"))
            .collect();
        let aliased = all
            .windows(2)
            .find(|pair| pair[1] == name && self.relations.contains_key(pair[0]));
        let relation = aliased.map_or(name, |pair| pair[0]);
        match self.relations.get(relation) {
            Some(columns) => columns.clone(),
            None => self.columns_in(text),
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
}

/// Returns the line that an error is about, with a mark below its column, where the error names them.
pub(super) fn place(sql: &str, error: &str) -> Option<String> {
    let number_after = |words: &str| -> Option<usize> {
        let (_, rest) = error.rsplit_once(words)?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..digits].parse().ok()
    };
    let line = number_after("line ").or_else(|| number_after("Line: "))?;
    let column = number_after("column ").or_else(|| number_after("Column: "))?;
    let text = sql.lines().nth(line.checked_sub(1)?)?;
    let margin = format!("{line} | ");
    let width = margin.chars().count() + column.checked_sub(1)?;
    Some(format!("{margin}{text}\n{}^", " ".repeat(width)))
}

/// Shortens an error that lists every column there is; `\d` lists them better.
pub(super) fn short(error: &str) -> String {
    match error.split_once(". Valid fields are ") {
        None => error.to_string(),
        Some((head, fields)) => {
            let place = fields.rfind(" (line ").map_or("", |at| &fields[at..]);
            format!("{head}; \\d NAME lists the columns{place}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_a_semicolon_of_its_own() {
        for text in [
            "",
            "  ",
            "\\d",
            "SELECT 1;",
            "SELECT ';' ; -- done",
            "SELECT 1; /* ; */",
        ] {
            assert!(is_complete(text), "{text}");
        }
        for text in [
            "SELECT 1",
            "SELECT ';",
            "SELECT 'it''s;'",
            "SELECT 1 -- ;",
            "SELECT 1 /* ;",
            "SELECT \"a;\"",
        ] {
            assert!(!is_complete(text), "{text}");
        }
    }

    fn names() -> Names {
        let columns = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        Names {
            relations: BTreeMap::from([
                (
                    "sessions".to_string(),
                    columns(&["sid", "cname", "storage"]),
                ),
                (
                    "starts".to_string(),
                    columns(&["start_id", "sid", "storage"]),
                ),
            ]),
            functions: BTreeSet::from(["sum".to_string(), "count".to_string()]),
            queries: columns(&["files_of_session"]),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let at = text.find('|').expect("the cursor is marked");
        let (_, found) = names().complete(&text.replace('|', ""), at);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn names_follow_what_they_can_follow() {
        check("SELECT * FROM s|", &["sessions", "starts"]);
        check("SELECT * from sess|", &["sessions"]);
        check(
            "SELECT s|",
            &[
                "sid", "start_id", "storage", "sum", "SELECT", "sessions", "starts",
            ],
        );
        check("SELECT st| FROM sessions", &["storage", "starts"]);
        check(
            "SELECT a.| FROM starts AS a",
            &["start_id", "sid", "storage"],
        );
        check("SELECT starts.si| FROM starts", &["sid"]);
        check("\\d se|", &["sessions"]);
        check("\\t|", &["\\timing"]);
        check("\\query f|", &["files_of_session"]);
        check("WHERE coun|", &["count"]);
    }

    #[test]
    fn an_error_does_not_list_all_columns() {
        let error = "No field named nn. Valid fields are a.b, a.c. (line 2, column 7)";
        let expected = "No field named nn; \\d NAME lists the columns (line 2, column 7)";
        assert_eq!(short(error), expected);
        assert_eq!(short("no memory"), "no memory");
    }

    #[test]
    fn an_error_is_shown_where_it_is() {
        let sql = "SELECT\n  sidd FROM webhooks";
        let shown = place(sql, "column `sidd` is not there (line 2, column 3)");
        assert_eq!(shown.as_deref(), Some("2 |   sidd FROM webhooks\n      ^"));
        let shown = place(
            "SELEC 1",
            "Expected: a statement, found: SELEC at Line: 1, Column: 1",
        );
        assert_eq!(shown.as_deref(), Some("1 | SELEC 1\n    ^"));
        assert_eq!(place("SELECT 1", "no memory"), None);
        assert_eq!(place("SELECT 1", "(line 7, column 1)"), None);
    }
}
