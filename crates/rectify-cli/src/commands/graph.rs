//! `graph`: the order of steps, of a project or a plan.

use super::project::out;
use crate::{arguments::GraphFormat, diagnostics, exit, failure::Failure};
use rectify_base::{Address, TargetName};
use rectify_engine::{Engine, artifact::Artifact, validate};
use rectify_model::graph::{Edge, EdgeKind};
use rectify_review::drawing::{Drawing, dot, svg};
use std::path::Path;

/// The graph that the sources compile to.
pub async fn of_project(engine: &Engine, directory: &Path, format: GraphFormat) -> Result<u8, Failure> {
    let compiled = validate::complete(engine, directory, None).await?;
    if format == GraphFormat::Json {
        out(&compiled.graph_bytes)?;
        return Ok(exit::DONE);
    }
    diagnostics::print(compiled.warnings(), &compiled.project.files);
    let graph = &compiled.graph;
    match format {
        GraphFormat::Dot | GraphFormat::Svg => drawn(&Drawing::of_graph(graph), format)?,
        GraphFormat::Text | GraphFormat::Json => {
            let head = format!("graph {}\n", compiled.graph_digests.blake3);
            let nodes = graph.nodes.iter();
            let nodes =
                nodes.map(|node| (&node.target, &node.address, node.type_name.as_str(), &*node.edges));
            out(text(head, nodes).as_bytes())?;
        }
    }
    Ok(exit::DONE)
}

/// What a plan does, and in which order.
pub fn of_plan(path: &Path, format: GraphFormat) -> Result<u8, Failure> {
    let artifact = Artifact::read(path)?;
    let plan = artifact.plan()?;
    match format {
        GraphFormat::Json => {
            return Err(Failure::usage("a plan is JSON itself: `rectify show --format json` prints it"));
        }
        GraphFormat::Dot | GraphFormat::Svg => drawn(&Drawing::of_plan(&plan), format)?,
        GraphFormat::Text => {
            let head = format!("plan {}\n", artifact.digests.blake3);
            let steps = plan.steps.iter();
            let steps =
                steps.map(|step| (&step.target, &step.address, step.type_name.as_str(), &*step.edges));
            out(text(head, steps).as_bytes())?;
        }
    }
    Ok(exit::DONE)
}

fn drawn(drawing: &Drawing, format: GraphFormat) -> Result<(), Failure> {
    out(if format == GraphFormat::Dot { dot(drawing) } else { svg(drawing) }.as_bytes())
}

/// Each step below its target, each edge below its step.
fn text<'a>(
    mut text: String,
    steps: impl Iterator<Item = (&'a TargetName, &'a Address, &'a str, &'a [Edge])>,
) -> String {
    let mut last = None;
    for (target, address, type_name, edges) in steps {
        if last != Some(target) {
            text.push_str(&format!("{target}\n"));
            last = Some(target);
        }
        text.push_str(&format!("  {address}  {type_name}\n"));
        for edge in edges {
            let kind = match edge.kind {
                EdgeKind::After => "after",
                EdgeKind::OnChange => "on change of",
                EdgeKind::Implied => "implied: after",
            };
            let reason = edge.reason.as_ref().map(|reason| format!(" ({})", rectify_review::visible(reason)));
            text.push_str(&format!("    {kind} {}{}\n", edge.from, reason.unwrap_or_default()));
        }
    }
    text
}
