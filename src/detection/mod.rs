//! The read path: queries as data. A query is a `.sql` file that says of itself what it finds, what it takes
//! and what it gives (`front_matter`); `library` holds all of them, checked; `run` makes findings of them.

pub mod findings;
pub mod front_matter;
pub mod investigation;
pub mod library;
pub mod reach;
pub mod report_query;
pub mod run;
pub mod window;
