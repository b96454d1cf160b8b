//! The stages, one after the other.

use crate::{
    Input, Output, SourceMap,
    assemble::{self, Sources},
    beside::Beside,
    codes,
    document::{
        self, Kind,
        inventory::{self, Inventory},
        module::Module,
        secret::Secrets,
    },
    report::{Cx, Report},
    schema::Registry,
    source_map::Place,
    text::{self, LineIndex},
    tree::{Node, Span},
    yaml,
};
use rectify_base::{Address, Code, Diagnostic, ModuleName, RemediationName, TargetName};
use rectify_model::fact::Facts;
use std::collections::BTreeMap;

/// A file that could be read as YAML.
struct Parsed<'s> {
    path: &'s str,
    text: &'s str,
    kind: Kind,
    root: Node<'s>,
}

pub(crate) fn run(input: &Input<'_>, facts: Option<&BTreeMap<TargetName, Facts>>) -> Output {
    let mut report = Report::default();
    let parsed = parse(input, &mut report);
    let project = parsed.iter().find(|p| p.kind == Kind::Project);
    let read = project.and_then(|p| document::project::read(&p.root, &mut Cx::new(p.path, &mut report)));
    let (settings, secrets) = read.map_or((None, Secrets::new()), |(settings, all)| (Some(settings), all));
    let before = report.len();
    let mut inventory = Inventory::default();
    for file in parsed.iter().filter(|p| p.kind == Kind::Inventory) {
        inventory::read(&file.root, file.path, &mut inventory, &mut report);
    }
    let mut complete = assemble::Complete {
        targets: report.len() == before && all_parsed(input, &parsed, "inventory/"),
        remediations: all_parsed(input, &parsed, "remediations/"),
        modules: all_parsed(input, &parsed, "modules/"),
    };
    inventory.gather(complete.targets, &mut report);
    let targets = &inventory.targets;
    let mut texts: BTreeMap<&str, &str> = project.map(|p| (p.path, p.text)).into_iter().collect();
    let mut modules: BTreeMap<ModuleName, Module<'_, '_>> = BTreeMap::new();
    for file in parsed.iter().filter(|p| p.kind == Kind::Module) {
        texts.insert(file.path, file.text);
        let Some(module) =
            document::module::read(&file.root, file.path, &mut Cx::new(file.path, &mut report))
        else {
            complete.modules = false;
            continue;
        };
        match modules.get(&module.name) {
            None => {
                modules.insert(module.name.clone(), module);
            }
            Some(first) => {
                let message = format!("two modules are named `{}`", module.name);
                let at = (module.file, module.name_span);
                twice(codes::MODULE_DUPLICATE, message, (first.file, first.name_span), at, &mut report);
            }
        }
    }
    let mut remediations: BTreeMap<RemediationName, _> = BTreeMap::new();
    for file in parsed.iter().filter(|p| p.kind == Kind::Remediation) {
        texts.insert(file.path, file.text);
        let cx = &mut Cx::new(file.path, &mut report);
        let Some(remediation) = document::remediation::read(&file.root, file.path, cx) else {
            complete.remediations = false;
            continue;
        };
        match remediations.get(&remediation.name) {
            None => {
                remediations.insert(remediation.name.clone(), remediation);
            }
            Some(first) => {
                let message = format!("two remediations are named `{}`", remediation.name);
                let at = (remediation.file, remediation.name_span);
                twice(codes::REMEDIATION_DUPLICATE, message, (first.file, first.name_span), at, &mut report);
            }
        }
    }
    if targets.is_empty() && !report.has_errors() {
        report.push(Diagnostic::error(codes::INVENTORY_EMPTY, "there is no target")).help =
            Some("describe one in `inventory/hosts.yaml`".into());
    }
    for name in input.select.into_iter().flatten() {
        if !remediations.contains_key(name) && !report.has_errors() {
            let candidate =
                crate::suggest::closest(name.as_str(), remediations.keys().map(RemediationName::as_str));
            report
                .push(Diagnostic::error(
                    codes::REMEDIATION_UNKNOWN,
                    format!("there is no remediation `{name}`"),
                ))
                .help = match candidate {
                Some(candidate) => Some(format!("did you mean `{candidate}`?")),
                None if name.as_str().ends_with(".plan.json") => {
                    Some(format!("to print a recorded plan: `rectify show {name}`"))
                }
                None => None,
            };
        }
    }
    let asked = input.select.map_or(remediations.len(), std::collections::BTreeSet::len);
    if asked == 0 && !report.has_errors() {
        report.push(Diagnostic::error(codes::GRAPH_EMPTY, "there is no remediation to take")).help =
            Some("write one in `remediations/`".into());
    }
    let registry = Registry::new(input.manifests, &mut report);
    let mut source_map = source_map(&remediations, &texts);
    let connections = connections(targets);
    let mut fleet: BTreeMap<String, u64> = BTreeMap::new();
    for target in targets.values() {
        let number = fleet.entry(target.environment.clone()).or_default();
        *number = number.saturating_add(1);
    }
    let sources = settings.as_ref().map(|settings| Sources {
        settings,
        remediations: &remediations,
        modules: &modules,
        secrets: &secrets,
        targets,
        groups: inventory.group_names(),
        complete,
        registry: &registry,
        locked: input.locked,
        beside: Beside::new(input.files),
        facts,
        texts: &texts,
        select: input.select,
    });
    let mut asked = BTreeMap::new();
    let assembled = sources.as_ref().and_then(|sources| assemble::graph(sources, &mut asked, &mut report));
    let assembled = assembled.filter(|_| !report.has_errors());
    let (graph, left_out) = match assembled {
        None => (None, Vec::new()),
        Some(assembled) => {
            unfolded(assembled.places, &texts, &mut source_map);
            (Some(assembled.graph), assembled.left_out)
        }
    };
    let diagnostics = report.finish();
    Output { graph, asked, left_out, settings, connections, fleet, source_map, diagnostics }
}

/// Reads all source files as YAML, in the order of their paths.
fn parse<'s>(input: &Input<'s>, report: &mut Report) -> Vec<Parsed<'s>> {
    let mut files: Vec<_> = input.files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut parsed = Vec::new();
    let mut has_project = false;
    for file in files {
        let cx = &mut Cx::new(&file.path, report);
        let kind = match Kind::of_path(&file.path) {
            None => continue,
            Some(Err(why)) => {
                cx.error(codes::PROJECT_FILE_NAME, Span::default(), why);
                continue;
            }
            Some(Ok(kind)) => kind,
        };
        has_project |= kind == Kind::Project;
        let Some(text) = text::decode(&file.bytes, cx) else { continue };
        if let Some(root) = yaml::parse(text, cx) {
            parsed.push(Parsed { path: &file.path, text, kind, root });
        }
    }
    if !has_project {
        report.push(Diagnostic::error(codes::PROJECT_MISSING, "there is no `rectify.yaml`")).help =
            Some("make a project with `rectify init`, or name its directory with `-C`".into());
    }
    parsed
}

/// Whether all files of a directory are there as trees.
fn all_parsed(input: &Input<'_>, parsed: &[Parsed<'_>], directory: &str) -> bool {
    let given = input.files.iter().filter(|f| f.path.starts_with(directory) && f.path.ends_with(".yaml"));
    given.count() == parsed.iter().filter(|p| p.path.starts_with(directory)).count()
}

type Remediations<'t, 's> = BTreeMap<RemediationName, document::remediation::Remediation<'t, 's>>;

fn twice(code: Code, message: String, first: (&str, Span), second: (&str, Span), report: &mut Report) {
    let at = first.1.range();
    let label =
        rectify_base::Label { file: first.0.into(), start: at.start, end: at.end, text: "first here".into() };
    Cx::new(second.0, report).error(code, second.1, message).labels.push(label);
}

/// Adds the places of steps that are one of several, or of a module.
fn unfolded(
    places: BTreeMap<Address, (&str, Span)>,
    texts: &BTreeMap<&str, &str>,
    source_map: &mut SourceMap,
) {
    let mut indices: BTreeMap<&str, LineIndex<'_>> = BTreeMap::new();
    for (address, (file, span)) in places {
        let lines =
            indices.entry(file).or_insert_with(|| LineIndex::new(texts.get(file).copied().unwrap_or("")));
        let range = span.range();
        let (line, column) = lines.locate(range.start);
        let place = Place { file: file.into(), start: range.start, end: range.end, line, column };
        source_map.places.entry(address).or_insert(place);
    }
}

fn connections(targets: &BTreeMap<TargetName, inventory::Target>) -> BTreeMap<TargetName, crate::Connection> {
    targets.iter().map(|(name, target)| (name.clone(), target.connection.clone())).collect()
}

fn source_map(remediations: &Remediations<'_, '_>, texts: &BTreeMap<&str, &str>) -> SourceMap {
    let mut map = SourceMap::default();
    for remediation in remediations.values() {
        let lines = LineIndex::new(texts.get(remediation.file).copied().unwrap_or(""));
        let steps =
            remediation.steps.list.iter().map(|s| (Address::of_step(&remediation.name, &s.name), s.span));
        let gates = remediation.gates.iter().map(|g| (Address::of_gate(&remediation.name, g.index), g.span));
        for (address, span) in steps.chain(gates) {
            let range = span.range();
            let (line, column) = lines.locate(range.start);
            let place =
                Place { file: remediation.file.into(), start: range.start, end: range.end, line, column };
            map.places.insert(address, place);
        }
    }
    map
}
