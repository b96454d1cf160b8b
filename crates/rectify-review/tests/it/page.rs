//! Markdown, as a code host's parser reads it.

use crate::{
    fixture::{changed, file, graph, node, observe, runs},
    html::{HOSTILE, Subject, plain},
};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options as Extensions, Parser, Tag};
use rectify_model::{Decision, Plan, decision::Finding};
use rectify_review::{COMMENT_MAX_CHARS, Judgement, Options, markdown};
use serde_json::{Value, json};

/// How long a platform says that a text is, at worst.
pub fn length(text: &str) -> usize {
    text.encode_utf16().count() + text.matches('\n').count()
}

/// What a page is made of, without its texts; panics at what must never be there.
pub fn structure(page: &str) -> Vec<String> {
    let mut out = Vec::new();
    for event in Parser::new_ext(
        page,
        Extensions::ENABLE_TABLES | Extensions::ENABLE_STRIKETHROUGH | Extensions::ENABLE_FOOTNOTES,
    ) {
        match event {
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("a link in\n{page}"),
            Event::Start(Tag::CodeBlock(_)) => out.push("code block".into()),
            Event::Start(tag) => out.push(format!("{tag:?}")),
            Event::End(tag) => out.push(format!("end {tag:?}")),
            Event::Html(html) | Event::InlineHtml(html) => {
                // Attributes are never written, so each tag is one of these.
                for tag in html.split('<').skip(1) {
                    let (name, _) = tag.split_once('>').expect("a tag ends");
                    assert!(
                        ["details", "/details", "summary", "/summary", "code", "/code"].contains(&name),
                        "<{name}> in\n{page}"
                    );
                    out.push(format!("<{name}>"));
                }
            }
            Event::Code(_) => out.push("code".into()),
            Event::Text(_) | Event::SoftBreak => {}
            other => panic!("{other:?} in\n{page}"),
        }
    }
    out
}

fn denied(count: usize) -> Decision {
    let deny = (0..count).map(|at| Finding {
        rule: "irreversible".into(),
        message: format!("app/run-{at:05} on web-1 cannot be taken back"),
    });
    Decision { deny: deny.collect(), ..Subject::new().decision }
}

/// Files and commands that all differ, in ten remediations.
fn large(count: usize) -> Plan {
    let nodes: Vec<Value> = (0..count)
        .map(|at| {
            let address = format!("app-{}/step-{at:05}", at * 10 / count);
            if at % 10 == 9 {
                node(
                    "web-1",
                    &address,
                    "command.run",
                    json!({"argv": ["systemctl", "restart", format!("app-{at}")]}),
                    &[],
                )
            } else {
                node("web-1", &address, "file.content", json!({"path": format!("/etc/app/{at}.conf")}), &[])
            }
        })
        .collect();
    let documents = observe(graph(&["web-1"], &nodes, &[]), |node, _| {
        let text = |n: u32| format!("# {}\nport = {n}\n", node.address);
        match node.desired.get("path").and_then(Value::as_str) {
            Some(path) => changed(file(path, "0644", &text(1)), file(path, "0644", &text(2)), &Value::Null),
            None => runs(&json!([])),
        }
    });
    documents.plan().unwrap().plan
}

fn page(plan: &Plan, denials: usize) -> String {
    let decision = denied(denials);
    let judgement = Judgement::Decided { decision: &decision, source: "when the plan was made" };
    let page = markdown(plan, judgement, &Options::default());
    assert!(length(&page) <= COMMENT_MAX_CHARS - 500, "{}", length(&page));
    structure(&page);
    page
}

#[test]
fn a_small_plan_is_whole() {
    let page = page(&large(50), 2);
    assert!(!page.contains("not all of it"));
    assert_eq!(page.matches("<details>").count(), 50);
}

#[test]
fn details_go_first_then_lines_then_entries_and_what_matters_stays() {
    let mut lines = Vec::new();
    for (count, denials) in [(300, 3), (1_000, 100), (10_000, 1_000)] {
        let page = page(&large(count), denials);
        for part in [
            format!("{count} changes"),
            "Plan `blake3:".into(),
            "`sha256:".into(),
            format!("{} to update, {} to run", count / 10 * 9, count / 10),
            "**Policy: DENIED**".into(),
            format!("**Denied because ({denials})**"),
            "irreversible: app/run\\-00000".replace("\\-", "-"),
            format!("**Cannot be taken back ({})**", count / 10),
            "**This page is not all of it.**".into(),
        ] {
            assert!(page.contains(&part), "{count}: no {part} in\n{}", &page[..3_000]);
        }
        let rows = page.matches("| `file.content` |").count() + page.matches("| `command.run` |").count();
        let listed = page.contains("**Not listed above");
        assert_eq!(listed, rows < count, "{count}: {rows} rows");
        if listed {
            // Sums tell of the rest.
            assert!(page.contains("- app-9: "), "{count}");
        }
        lines.push((count, rows, page.matches("<details>").count()));
    }
    // At 300 every line is there, and some details; at 1,000 and 10,000 lines are left out, but not all.
    assert_eq!(lines[0].1, 300, "{lines:?}");
    assert!(lines[0].2 > 50 && lines[0].2 < 300, "{lines:?}");
    assert!(lines.iter().skip(1).all(|(count, rows, _)| *rows > 200 && rows < count), "{lines:?}");
}

#[test]
fn the_verdict_is_said_whatever_it_is() {
    let plan = large(10);
    let said = |judgement| markdown(&plan, judgement, &Options::default());
    let mut allowed = denied(0);
    allowed.allowed = true;
    assert!(
        said(Judgement::Decided { decision: &allowed, source: "now" })
            .contains("**Policy: allowed**, asks for 2 approvals, now")
    );
    let undecided = said(Judgement::Undecided { code: "policy-timeout", message: "it took <too> long" });
    assert!(
        undecided.contains(
            "**Policy: DENIED**, because it could not decide: it took &lt;too&gt; long (policy-timeout)"
        ),
        "{undecided}"
    );
    assert!(!said(Judgement::NotAsked).contains("Policy"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_text_means_anything(pieces in prop::collection::vec(
        prop_oneof![
            prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
            prop::sample::select(&["`", "```", "````\n", "|", "\\|", "@all", "#1", "[a](http://b)", "![a](b)", "**", "__", "~~", "<details>", "www.example.org", "http://example.org", "- [ ] x", "1. x", "> x", "---", "$x$", ":smile:", "[^1]"][..]).prop_map(str::to_owned),
            any::<String>(),
            Just("\n".to_owned()),
        ],
        1..6,
    )) {
        let text = pieces.concat();
        let rendered = |text: &str| {
            let subject = Subject::with(text);
            let options = Options { size_max_chars: 10_000_000, ..Options::default() };
            markdown(&subject.plan, Judgement::Decided { decision: &subject.decision, source: text }, &options)
        };
        let page = rendered(&text);
        prop_assert_eq!(structure(&page), structure(&rendered(&plain(&text))), "{}", page);
        // Nobody is mentioned, and nothing is linked, outside of code.
        let mut in_code = false;
        for event in Parser::new(&page) {
            match event {
                Event::Start(Tag::CodeBlock(_)) => in_code = true,
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_code = false,
                _ => {}
            }
        }
        prop_assert!(!in_code);
    }
}
