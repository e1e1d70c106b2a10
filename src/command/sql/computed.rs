//! `findings` and `not_judged` as relations of SQL: what `detect` says of the same lake and window, computed when a
//! statement first names one of them. `detections` says what there is to find.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use datafusion::common::runtime::SpawnedTask;

use super::{Context, SqlArgs};
use crate::command::output::EngineArgs;
use crate::detection::findings::relations;
use crate::detection::library::Library;
use crate::detection::run::{Findings, RunOptions, run};
use crate::detection::window::Window;
use crate::engine::{Engine, Statement};

/// What takes a run of all detections.
const OF_A_RUN: [&str; 2] = ["findings", "not_judged"];

/// Relations that neither a file of the lake nor a view holds.
pub(super) struct Computed {
    engine: EngineArgs,
    context: Context,
    window: Window,
    detections: usize,
    /// A person waits, who is told what takes the time.
    is_told: bool,
    is_there: bool,
    /// The session is one over a case: only that is looked at.
    is_of_case: bool,
}

impl Computed {
    /// Makes the relations known to a session; `detections` with its rows.
    pub(super) fn promise(
        engine: &mut Engine,
        library: &Library,
        args: &SqlArgs,
        context: &Context,
        window: Window,
    ) -> Result<Computed> {
        for (name, schema) in relations() {
            engine.promise(name, schema)?;
        }
        engine.give("detections", library.detection_table()?)?;
        Ok(Computed {
            engine: args.engine.again(engine),
            context: context.clone(),
            window,
            detections: library.detections().len(),
            is_told: args.output.is_table(),
            is_there: false,
            is_of_case: args.case.is_asked(),
        })
    }

    /// Computes the rows where a query is the first to name them.
    pub(super) async fn prepare(
        &mut self,
        engine: &Arc<Engine>,
        statement: &Statement,
    ) -> Result<()> {
        let relations = statement.relations()?;
        let names_them = OF_A_RUN.iter().any(|name| relations.contains(*name));
        if self.is_there || !names_them || !statement.is_query() {
            return Ok(());
        }
        if self.is_told {
            eprintln!("computing findings: {} detections ...", self.detections);
        }
        // In a task of its own, so that whoever waits can give up at any time.
        let (args, context) = (self.engine.clone(), self.context.clone());
        let case = self.is_of_case.then(|| Arc::clone(engine));
        let detecting = SpawnedTask::spawn(detect(args, context, self.window, case));
        let stopped = "the detections were stopped";
        let found = detecting.join_unwind().await.context(stopped)??;
        engine.give("findings", found.citing(engine.table_versions())?)?;
        engine.give("not_judged", found.not_judged)?;
        self.is_there = true;
        Ok(())
    }
}

/// Runs all detections as `detect` does: over a session that reads further back than the window, or over a case.
async fn detect(
    args: EngineArgs,
    context: Context,
    window: Window,
    case: Option<Arc<Engine>>,
) -> Result<Findings> {
    let (engine, library) = match case {
        Some(engine) => (engine, args.library()?),
        None => {
            let kept = |library: &Library| library.kept_views(&[]);
            let opened = args.open_keeping(&context, window.read_from(), kept);
            let (engine, library) = opened.await?;
            (Arc::new(engine), library)
        }
    };
    let options = RunOptions {
        overrides: library.overrides(&context.config.detect.params, &[])?,
        only: Vec::new(),
        window,
    };
    run(&engine, &library, &options).await
}
