//! Calls of modules: what steps they become, what these see, and how they are ordered.

use crate::types::{INVENTORY, PROJECT, compile_files, file};
use rectify_base::Pointer;
use rectify_compile::{Output, SourceFile};

const FILES: &str = "
parameters:
  directory: {type: string, pattern: ^/}
  names: {type: list, default: [one]}
  mode: {type: string, default: '0640'}
steps:
  directory:
    file.directory: {path: '${{ params.directory }}'}
  file:
    file.content:
      path: ${{ params.directory }}/${{ each.key }}
      content: ${{ target.name }}
      mode: ${{ params.mode }}
    for_each: ${{ params.names }}
  note:
    command.run: {argv: [note]}
    on_change: [file]
outputs:
  first: ${{ params.directory }}/${{ params.names[0] }}
  count: ${{ size(params.names) }}
";

/// Files of a project with a remediation `a` on `alpha`, and modules by name.
fn project(steps: &str, modules: &[(&str, &str)]) -> Vec<SourceFile> {
    let head = |kind: &str, name: &str| {
        format!("apiVersion: rectify/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
    };
    let mut files = vec![file("rectify.yaml", PROJECT), file("inventory/hosts.yaml", INVENTORY)];
    let targets = "parameters: {on: {type: boolean, default: true}}\n\
                   targets: {select: 'target.name == \"alpha\"'}\nsteps:";
    files.push(file("remediations/a.yaml", format!("{}{targets}{steps}", head("Remediation", "a"))));
    for (name, text) in modules {
        let text = format!("{}{text}", head("Module", name));
        files.push(file(&format!("modules/{name}.yaml"), text));
    }
    files
}

fn nodes(output: &Output) -> Vec<String> {
    assert!(output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    let nodes = &output.graph.as_ref().unwrap().nodes;
    let line = |n: &rectify_model::graph::Node| {
        let edges: Vec<&str> = n.edges.iter().map(|e| e.from.step()).collect();
        format!("{} < {}", n.address.step(), edges.join(", "))
    };
    nodes.iter().map(line).collect()
}

#[test]
fn a_call_is_replaced_by_the_steps_of_the_module() {
    let files = project(
        "
  before:
    command.run: {argv: [a]}
  etc:
    use: {module: files, with: {directory: /etc/app, names: [x, y]}}
    after: [before]
  last:
    file.content: {path: /etc/last, content: '${{ outputs.etc.first }} ${{ outputs.etc.count }}'}
    after: [etc]
",
        &[("files", FILES)],
    );
    let output = compile_files(&files);
    assert_eq!(
        nodes(&output),
        [
            "before < ",
            "etc/directory < before",
            "etc/file[\"x\"] < before, etc/directory",
            "etc/file[\"y\"] < before, etc/directory",
            "etc/note < before, etc/file[\"x\"], etc/file[\"y\"]",
            "last < etc/directory, etc/file[\"x\"], etc/file[\"y\"], etc/note",
        ]
    );
    let graph = output.graph.as_ref().unwrap();
    assert_eq!(graph.nodes[2].desired["mode"], "0640");
    assert_eq!(graph.nodes[5].desired["content"], "/etc/app/x 2");

    // The steps lead to the text of the module.
    let locator = output.locator(&files);
    let address = "a/etc/file[\"y\"]".parse().unwrap();
    let place = locator.place(&address, Some(&Pointer::from("/mode"))).unwrap();
    assert_eq!((place.file.as_str(), place.line, place.column), ("modules/files.yaml", 16, 13));
}

#[test]
fn calls_are_repeated_and_left_out_like_steps() {
    let output = compile_files(&project(
        "
  each:
    use: {module: files, with: {directory: '/srv/${{ each.key }}', mode: '${{ each.value.mode }}'}}
    for_each: {web: {mode: '0600'}, db: {mode: '0644'}}
    when: each.key == target.labels.role
  none:
    use: {module: files, with: {directory: /opt}}
    when: \"!params.on\"
    after: [each]
  last:
    command.run: {argv: [a]}
    after: [none]
  told:
    command.run: {argv: ['${{ has(outputs.none) ? \"there\" : \"left out\" }}', '${{ outputs.each[\"web\"].first }}']}
",
        &[("files", FILES)],
    ));
    assert_eq!(
        nodes(&output),
        [
            "each[\"web\"]/directory < ",
            "each[\"web\"]/file[\"one\"] < each[\"web\"]/directory",
            "each[\"web\"]/note < each[\"web\"]/file[\"one\"]",
            "last < each[\"web\"]/directory, each[\"web\"]/file[\"one\"], each[\"web\"]/note",
            "told < ",
        ]
    );
    let left: Vec<_> = output.left_out.iter().map(|l| l.address.as_str()).collect();
    assert_eq!(left, ["a/none"]);
    let told = output.graph.as_ref().unwrap().nodes.iter().find(|n| n.address.step() == "told").unwrap();
    assert_eq!(told.desired["argv"], serde_json::json!(["left out", "/srv/web/one"]));
}

#[test]
fn modules_call_modules_and_pass_on_what_they_tell() {
    let outer = "
parameters: {base: {type: string}}
steps:
  inner:
    use: {module: files, with: {directory: '/var${{ params.base }}'}}
  use-it:
    command.run: {argv: ['${{ outputs.inner.first }}']}
    after: [inner]
outputs:
  path: ${{ outputs.inner.first }}
";
    let output = compile_files(&project(
        "
  top:
    use: {module: outer, with: {base: /app}}
  next:
    use: {module: files, with: {directory: '${{ outputs.top.path }}.d'}}
",
        &[("files", FILES), ("outer", outer)],
    ));
    assert_eq!(
        nodes(&output),
        [
            "top/inner/directory < ",
            // It lies in what the other writes.
            "next/directory < top/inner/directory",
            "next/file[\"one\"] < next/directory",
            "next/note < next/file[\"one\"]",
            "top/inner/file[\"one\"] < top/inner/directory",
            "top/inner/note < top/inner/file[\"one\"]",
            "top/use-it < top/inner/directory, top/inner/file[\"one\"], top/inner/note",
        ]
    );
    let graph = output.graph.as_ref().unwrap();
    assert_eq!(graph.nodes[1].desired["path"], "/var/app/one.d");
    assert_eq!(graph.nodes[6].desired["argv"], serde_json::json!(["/var/app/one"]));
}

#[test]
fn a_module_sees_nothing_of_its_caller() {
    let output = compile_files(&project(
        "\n  one:\n    use: {module: m}\n    for_each: [a]\n",
        &[("m", "steps:\n  s:\n    command.run: {argv: ['${{ each.key }}', '${{ params.on }}']}\n")],
    ));
    let messages: Vec<_> = output.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(messages, ["there is no `each` here", "there is no parameter `on`"]);
}

#[test]
fn a_problem_in_a_module_shows_the_call() {
    let output = compile_files(&project(
        "\n  one:\n    use: {module: m, with: {mode: '99'}}\n",
        &[(
            "m",
            "parameters: {mode: {type: string}}\nsteps:\n  s:\n    file.content: {path: /x, content: a, mode: '${{ params.mode }}'}\n",
        )],
    ));
    assert_eq!(output.diagnostics.len(), 1, "{:#?}", output.diagnostics);
    let labels: Vec<_> =
        output.diagnostics[0].labels.iter().map(|l| (l.file.as_str(), l.text.as_str())).collect();
    assert_eq!(labels, [("modules/m.yaml", ""), ("remediations/a.yaml", "called here")]);
}

#[test]
fn what_a_parameter_is_for_is_said_to_who_gives_it_wrongly() {
    let module = "
parameters: {name: {type: string, pattern: '^[a-z]+$', description: Small letters only}}
steps:
  s:
    command.run: {argv: ['${{ params.name }}']}
";
    let output =
        compile_files(&project("\n  one:\n    use: {module: m, with: {name: A}}\n", &[("m", module)]));
    let found: Vec<_> = output.diagnostics.iter().map(|d| (d.code.as_str(), d.help.as_deref())).collect();
    assert_eq!(found, [("module-argument", Some("Small letters only"))]);
}

#[test]
fn many_problems_of_modules_in_one_go() {
    let bad = "
parameters: {a: {type: integer}, b: {type: string, default: 7}}
steps:
  s:
    command.run: {argvv: [a]}
  t:
    command.run: {argv: ['${{ params.c }}']}
    after: [u]
";
    let output = compile_files(&project(
        "
  one:
    use: {module: bad}
  two:
    use: {module: bat, with: {a: 1}}
  three:
    use: {module: bad, with: {a: x, d: 2}}
",
        &[("bad", bad)],
    ));
    let codes: Vec<_> = output.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "type-unknown-property",
            "expr-unknown-name",
            "graph-unknown-step",
            "module-argument",
            "module-unknown",
            "module-argument",
            "module-argument",
        ],
        "{:#?}",
        output.diagnostics
    );
}
