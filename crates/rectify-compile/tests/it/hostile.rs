//! Inputs made to hurt are refused, and without much work. Limits of time are generous: they only
//! tell apart what is bounded from what is not.

use crate::types::{INVENTORY, PROJECT, compile_bodies, compile_files, file, graph, manifests};
use rectify_compile::{Input, compile, limits};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

const BOUNDED: Duration = Duration::from_secs(20);

/// Processor time of this thread: what others do on the machine does not count.
fn spent() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

fn code(body: &str) -> &'static str {
    let start = spent();
    let output = compile_bodies(&[body]);
    assert!(spent() - start < BOUNDED, "{:?}", spent() - start);
    assert!(output.graph.is_none());
    output.diagnostics[0].code.as_str()
}

fn expression(source: &str) -> &'static str {
    let steps = "steps:\n  one:\n    file.content:\n      path: /x\n      content: ";
    let parameters = format!(
        "parameters:\n  big: {{type: list, default: [{}]}}\n  text: {{type: string, default: {}}}\n",
        vec!["aaaaaaaaaa"; 60].join(", "),
        "x".repeat(2000)
    );
    code(&format!("{parameters}targets: {{select: 'true'}}\n{steps}\"${{{{ {source} }}}}\"\n"))
}

#[test]
fn alias_bomb() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
    }
    assert_eq!(code(&bomb), "yaml-anchor");
}

#[test]
fn deep_nesting() {
    assert_eq!(code(&format!("because: {}", "[".repeat(100_000))), "yaml-depth");
    assert_eq!(code(&format!("because: {}", "{a: ".repeat(100_000))), "yaml-depth");
    assert_eq!(code(&format!("because:\n  {}x", "- ".repeat(100_000))), "yaml-depth");
    let blocks: String = (0..2000).map(|i| " ".repeat(i + 1) + "a:\n").collect();
    assert_eq!(code(&format!("because:\n{blocks}")), "yaml-depth");
}

#[test]
fn many_keys_and_many_duplicates() {
    let keys: String = (0..20_000).map(|_| "  k: v\n").collect();
    assert_eq!(code(&format!("because:\n{keys}")), "yaml-duplicate-key");
    let unknown: String = (0..20_000).map(|i| format!("f{i}: v\n")).collect();
    assert_eq!(code(&unknown), "project-missing-field");
}

#[test]
fn deep_expressions() {
    assert_eq!(expression(&"(".repeat(100_000)), "expr-too-long");
    assert_eq!(expression(&("(".repeat(400) + "1" + &")".repeat(400))), "expr-too-complex");
    assert_eq!(expression(&("!".repeat(900) + "true")), "type-mismatch");
    let chain = "true ? 1 : ".repeat(90) + "2";
    assert!(["expr-too-complex", "expr-syntax"].contains(&expression(&chain)));
    let brackets = "[".repeat(24) + &"]".repeat(24);
    assert_eq!(expression(&brackets), "type-mismatch");
    let parens = "(".repeat(24) + "1" + &")".repeat(24);
    assert_eq!(expression(&parens), "type-mismatch");
}

#[test]
fn costly_evaluation() {
    assert_eq!(expression("params.big.map(a, params.big.map(b, params.big))"), "expr-work");
    assert_eq!(
        expression("params.big.exists(a, params.big.exists(b, (a + b).matches('(a+)+b'))) || true"),
        "expr-work"
    );
    // Each round doubles what the one before has built.
    let mut doubling = "params.text".to_owned();
    for _ in 0..14 {
        doubling = format!("[{doubling}].map(x, x + x)[0]");
    }
    assert_eq!(expression(&doubling), "expr-work");
    let patterns = "params.big.map(a, params.big.map(b, 'x'.matches(a + '{50}{50}' + b)))";
    assert!(["expr-work", "expr-evaluation"].contains(&expression(patterns)));
}

#[test]
fn large_values_for_expressions() {
    let text = "x".repeat(limits::EVALUATION_INPUT_MAX_BYTES);
    let body = format!(
        "parameters: {{t: {{type: string, default: {text}}}}}\ntargets: {{select: 'true'}}\nsteps:\n  one:\n    file.content: {{path: /x, content: '${{{{ params.t }}}}'}}\n"
    );
    assert_eq!(code(&body), "expr-work");
}

#[test]
fn ten_thousand_steps() {
    let steps: String = (0..10_000)
        .map(|i| format!("  s{i}:\n    file.content: {{path: /etc/app/{i}, content: hello {i}, mode: 0640, owner: root}}\n"))
        .collect();
    let body = format!(
        "targets: {{select: target.name == \"alpha\"}}\nsteps:\n  dir:\n    file.directory: {{path: /etc/app}}\n{steps}"
    );
    let graph = graph(compile_bodies(&[&body]));
    assert_eq!(graph.nodes.len(), 10_001);
    assert_eq!(graph.nodes[0].address.as_str(), "r0/dir");
    assert_eq!(graph.nodes[1].edges.len(), 1);
}

#[test]
fn ten_thousand_writers_and_readers_of_one_thing() {
    let chain: String = (0..3_000)
        .map(|i| {
            let after = if i == 0 { String::new() } else { format!("    after: [s{}]\n", i - 1) };
            format!("  s{i}:\n    file.line: {{path: /x, line: l{i}}}\n{after}")
        })
        .collect();
    let readers: String =
        (0..3_000).map(|i| format!("  r{i}:\n    command.run: {{argv: [a], reads: /x}}\n")).collect();
    let start = spent();
    let body = format!("targets: {{select: target.name == \"alpha\"}}\nsteps:\n{chain}{readers}");
    let graph = graph(compile_bodies(&[&body]));
    assert!(spent() - start < BOUNDED, "{:?}", spent() - start);
    assert_eq!(graph.nodes[2_999].address.step(), "s2999");
    assert_eq!(graph.nodes[3_000].edges[0].from.step(), "s2999");
}

#[test]
fn bytes_that_are_no_text() {
    for bytes in [vec![0xff, 0xfe, b'a'], vec![0; 1000], b"\x00apiVersion: x".to_vec(), vec![b':'; 10_000]] {
        let files = [
            file("rectify.yaml", PROJECT),
            file("inventory/i.yaml", INVENTORY),
            file("remediations/a.yaml", bytes),
        ];
        let output = compile(&Input {
            files: &files,
            manifests: &manifests(),
            locked: &std::collections::BTreeMap::new(),
            select: None,
        });
        assert!(output.graph.is_none());
        assert!(!output.diagnostics.is_empty());
    }
    assert!(compile_files(&[]).graph.is_none());
}

fn modules(count: usize, text: impl Fn(usize) -> String) -> Vec<rectify_compile::SourceFile> {
    let module = |i: usize| {
        let head = format!("apiVersion: rectify/v1\nkind: Module\nmetadata: {{name: m{i}}}\n");
        file(&format!("modules/m{i}.yaml"), head + &text(i))
    };
    let remediation = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\ntargets: {select: 'true'}\n\
                       steps:\n  one:\n    use: {module: m0}\n";
    let mut files: Vec<_> = (0..count).map(module).collect();
    files.push(file("rectify.yaml", PROJECT));
    files.push(file("inventory/i.yaml", INVENTORY));
    files.push(file("remediations/a.yaml", remediation));
    files
}

fn codes(files: &[rectify_compile::SourceFile]) -> Vec<&'static str> {
    let start = spent();
    let output = compile_files(files);
    assert!(spent() - start < BOUNDED, "{:?}", spent() - start);
    output.diagnostics.iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn a_product_of_repetitions_that_takes_nothing() {
    let elements: Vec<String> = (0..limits::ELEMENTS_MAX).map(|i| format!("e{i}")).collect();
    let files = modules(4, |i| {
        let what = match i {
            3 => "command.run: {argv: [a]}\n    when: 'false'".to_owned(),
            _ => format!("use: {{module: m{}}}", i + 1),
        };
        format!("steps:\n  s:\n    {what}\n    for_each: [{}]\n", elements.join(", "))
    });
    assert_eq!(codes(&files), ["graph-too-large"]);
}

#[test]
fn a_long_circle_of_modules() {
    let count = 3000;
    let call = |i: usize| format!("steps:\n  s:\n    use: {{module: m{}}}\n", (i + 1) % count);
    let found = codes(&modules(count, call));
    assert_eq!(found, ["module-nesting", "module-nesting"]);
    // A chain of as many is no circle, but too deep.
    let chain = |i: usize| match i + 1 == count {
        true => "steps:\n  s:\n    command.run: {argv: [a]}\n".to_owned(),
        false => call(i),
    };
    assert_eq!(codes(&modules(count, chain)), ["module-nesting"]);
}

#[test]
fn modules_that_call_each_other_many_times() {
    let files = modules(4, |i| {
        let calls = (0..300).map(|s| match i {
            3 => format!("  s{s}:\n    command.run: {{argv: [a]}}\n    when: 'false'\n"),
            _ => format!("  s{s}:\n    use: {{module: m{}}}\n", i + 1),
        });
        format!("steps:\n{}", calls.collect::<String>())
    });
    assert_eq!(codes(&files), ["graph-too-large"]);
}

#[test]
fn long_chains_of_steps_that_are_left_out() {
    let mut body = String::from("targets: {select: 'true'}\nsteps:\n  last:\n    command.run: {argv: [a]}\n");
    for i in 0..4000 {
        let field = if i % 2 == 0 { "after" } else { "on_change" };
        body += &format!("  s{i:04}:\n    command.run: {{argv: [a]}}\n    {field}: [s{:04}]\n", i + 1);
    }
    body += "  s4000:\n    command.run: {argv: [a]}\n    when: 'false'\n";
    body += "  t:\n    command.run: {argv: [a]}\n    after: [s0000]\n";
    let start = spent();
    let output = compile_bodies(&[&body]);
    assert!(spent() - start < BOUNDED, "{:?}", spent() - start);
    assert!(output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    // Those that only come after it stay, those that it would have triggered do not.
    assert_eq!(output.left_out.len(), 2 * 2);
    let idle = |text: &str| body.replace("after: [s", text);
    assert_eq!(compile_bodies(&[&idle("on_change: [s")]).left_out.len(), 2 * 4002);
}

#[test]
fn many_steps_that_wait_for_a_long_chain_of_left_out_steps() {
    let mut body = String::from("targets: {select: 'true'}\nsteps:\n");
    for i in 0..2000 {
        body += &format!(
            "  s{i:04}:\n    command.run: {{argv: [a]}}\n    after: [s{:04}]\n    when: 'false'\n",
            i + 1
        );
        body += &format!("  w{i:04}:\n    command.run: {{argv: [a]}}\n    after: [s0000]\n");
    }
    body += "  s2000:\n    command.run: {argv: [a]}\n";
    assert_eq!(code(&body), "graph-too-large");
}

#[test]
fn many_steps_with_expressions_that_wait_for_each_other() {
    let mut body =
        String::from("parameters: {n: {type: integer, default: 1}}\ntargets: {select: 'true'}\nsteps:\n");
    for i in 0..8000 {
        body += &format!(
            "  s{i}:\n    command.run: {{argv: ['${{{{ params.n }}}}-{i}']}}\n    when: params.n > 0\n"
        );
        if i > 0 {
            body += &format!("    after: [s{}]\n", i - 1);
        }
    }
    let start = spent();
    let nodes = graph(compile_bodies(&[&body])).nodes.len();
    assert!(spent() - start < BOUNDED, "{:?}", spent() - start);
    assert_eq!(nodes, 2 * 8000);
}
