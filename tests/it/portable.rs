//! The SQL of `queries/` keeps to what DataFusion, DuckDB and Spark share, or to the table of spellings in
//! `queries/README.md`, so that the files run on another engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Functions of the same name and meaning in all three, by their documentation: DataFusion 55, DuckDB 2.0, Spark 4.
const SHARED: &[&str] = &[
    "abs",
    "array_contains",
    "bool_and",
    "bool_or",
    "cardinality",
    "cast",
    "chr",
    "coalesce",
    "concat_ws",
    "count",
    "date_part",
    "date_trunc",
    "flatten",
    "greatest",
    "lead",
    "least",
    "lower",
    "max",
    "median",
    "min",
    "nullif",
    "replace",
    "round",
    "row_number",
    "split_part",
    "sum",
    "trim",
];

/// Words that may stand before a parenthesis and call nothing.
const KEYWORDS: &[&str] = &[
    "and", "as", "else", "filter", "from", "in", "join", "not", "on", "or", "over", "then",
    "values", "when", "where",
];

/// What reads alike and is understood by one of them only, and what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("varchar", "CAST(... AS STRING)"),
    ("column1", "VALUES ... AS name (column, ...)"),
    ("ilike", "lower(...) LIKE"),
    ("qualify", "a WHERE around it"),
    ("lateral", "a join"),
    ("exclude", "the columns by name"),
    ("similar", "regexp_like"),
];

/// A word, a piece of punctuation or a whole text in quotes.
type Token<'s> = &'s str;

#[test]
fn queries_use_what_all_engines_have() {
    let spellings = spellings();
    let mut wrong = Vec::new();
    for path in files() {
        let sql = read(&path);
        for complaint in complaints(&tokens(&sql), &spellings) {
            wrong.push(format!("{}: {complaint}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_only_one_engine_has_is_seen() {
    let complaints = |sql: &str| complaints(&tokens(sql), &spellings()).len();
    assert_eq!(complaints("SELECT list_zip(a, b) FROM t"), 1);
    assert_eq!(
        complaints("SELECT CAST(a AS VARCHAR), a[1], a::int FROM t"),
        3
    );
    assert_eq!(complaints("SELECT sum(a) OVER (ORDER BY b) FROM t"), 0);
    assert_eq!(
        complaints("-- list_zip(\nSELECT 'list_zip(', \"a(\", s['at'] FROM t WHERE (a) IN (1)"),
        0
    );
}

#[test]
fn every_spelling_is_used_and_translated() {
    let used: BTreeSet<String> = files()
        .iter()
        .flat_map(|path| called(&tokens(&read(path))))
        .collect();
    let script = read(Path::new("benches/beside_duckdb.py"));
    for (name, is_same) in spellings() {
        assert!(used.contains(&name), "no query calls `{name}` any more");
        assert!(
            is_same || script.contains(&name),
            "benches/beside_duckdb.py does not translate `{name}`"
        );
    }
}

/// Returns the functions of the table in `queries/README.md`, and whether DuckDB has the same.
fn spellings() -> BTreeMap<String, bool> {
    let page = read(Path::new("queries/README.md"));
    let mut spellings = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split(" | ");
        let (here, duckdb) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
        for code in here.split('`').skip(1).step_by(2) {
            if let Some((name, _)) = code.split_once('(')
                && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                spellings.insert(name.to_string(), duckdb == "same");
            }
        }
    }
    assert!(
        spellings.len() > 10,
        "the table is not found: {spellings:?}"
    );
    spellings
}

fn complaints(tokens: &[Token<'_>], spellings: &BTreeMap<String, bool>) -> Vec<String> {
    let mut complaints: Vec<_> = called(tokens)
        .into_iter()
        .filter(|name| !SHARED.contains(&name.as_str()) && !spellings.contains_key(name))
        .map(|name| format!("`{name}` is neither shared by the engines nor in queries/README.md"))
        .collect();
    for token in tokens {
        let word = token.to_lowercase();
        if let Some((refused, instead)) = REFUSED.iter().find(|(refused, _)| *refused == word) {
            complaints.push(format!("instead of `{refused}` write {instead}"));
        }
    }
    for pair in tokens.windows(2) {
        if pair[0] == "[" && pair[1].starts_with(|c: char| c.is_ascii_digit()) {
            complaints.push("instead of a subscript write array_element".to_string());
        }
        if pair == [":", ":"] {
            complaints.push("instead of `::` write CAST".to_string());
        }
    }
    complaints
}

/// Returns the names of the functions that are called; names of a `WITH` that list their columns are none.
fn called(tokens: &[Token<'_>]) -> BTreeSet<String> {
    let is_word = |token: &str| token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let after_as = |at: usize| at > 0 && tokens[at - 1].eq_ignore_ascii_case("as");
    (0..tokens.len().saturating_sub(1))
        .filter(|at| is_word(tokens[*at]) && tokens[at + 1] == "(" && !after_as(*at))
        .map(|at| tokens[at].to_lowercase())
        .filter(|name| !KEYWORDS.contains(&name.as_str()))
        .collect()
}

/// Takes SQL apart, without comments and blanks.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            c if c.is_alphanumeric() || c == '_' || c == '$' => rest
                .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$')
                .unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        if !rest.starts_with("--") {
            tokens.push(&rest[..end]);
        }
        rest = rest[end..].trim_start();
    }
    tokens
}

/// Returns the files of `queries/`, relative to the project.
fn files() -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(Path::new(ROOT).join(path)).expect("is a directory");
        let names = entries.map(|entry| entry.expect("is readable").file_name());
        names.map(|name| path.join(name)).collect()
    };
    let mut files: Vec<_> = entries(Path::new("queries"))
        .into_iter()
        .filter(|path| Path::new(ROOT).join(path).is_dir())
        .flat_map(|folder| entries(&folder))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).expect("is a file of this project")
}
