//! The page, as a browser's parser reads it.

use crate::fixture::{content, digests, valid};
use html5ever::{ParseOpts, parse_document, tendril::TendrilSink as _};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use proptest::prelude::*;
use rectify_base::{Digest, FileDigests};
use rectify_model::{
    Decision, Plan,
    decision::{ApprovalDemand, Finding},
};
use rectify_plan::{LeftOutEntry, Report};
use rectify_review::{Judgement, Review, Standing, Voucher, html};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a page is made of.
pub struct Subject {
    pub plan: Plan,
    report: Report,
    pub decision: Decision,
    vouchers: Vec<Voucher>,
}

impl Subject {
    /// The rich plan, denied, sealed by a known and approved by an unknown key.
    pub fn new() -> Self {
        let planned = valid().plan().unwrap();
        let finding = |rule: &str, message: &str| Finding { rule: rule.into(), message: message.into() };
        let decision = Decision {
            bundle: Digest::of_bytes(b"bundle"),
            allowed: false,
            deny: [finding("irreversible", "web/reload on app-1 cannot be taken back")].into(),
            warn: [finding("quiet", "nobody is told of base/motd, web/conf")].into(),
            require_approval: [ApprovalDemand {
                rule: "production".into(),
                message: "app-1 is in environment prod".into(),
                count: 2,
            }]
            .into(),
            overridden: [finding("freeze", "app-1 is frozen until Monday")].into(),
        };
        let voucher = |file: &str, kind: &str, standing| Voucher {
            file: file.into(),
            kind: kind.into(),
            standing,
            says: vec![("expires".into(), "2026-11-24T17:00:00Z".into())],
        };
        let vouchers = vec![
            voucher("approval.dsse.json", "approval", Standing::Unverified("its key is not listed".into())),
            voucher("seal.dsse.json", "seal", Standing::Verified(vec!["author with SHA256:abc".into()])),
        ];
        Self { plan: planned.plan, report: planned.report, decision, vouchers }
    }

    fn page(&self) -> String {
        html(&Review {
            plan: &self.plan,
            digests: digests(&self.plan),
            report: Some(&self.report),
            judgement: Judgement::Decided { decision: &self.decision, source: "in this test" },
            vouchers: &self.vouchers,
        })
    }

    /// The same, with this text wherever a person, a machine or a provider may write one.
    pub fn with(text: &str) -> Self {
        let mut subject = Self::new();
        let mut plan = serde_json::to_value(&subject.plan).unwrap();
        for entry in plan["deferred"].as_array_mut().unwrap() {
            entry["message"] = text.into();
            entry["code"] = text.into();
        }
        for step in plan["steps"].as_array_mut().unwrap() {
            for name in ["path", "user", "script"] {
                step["desired"][name] = text.into();
            }
            step["desired"]["argv"] = json!([text, text]);
            step["desired"]["environment"] = json!({ text: text });
            step["undo"]["note"] = text.into();
            step["touches"] = json!([{"key": text, "access": "read"}]);
            step["resolved"] = json!([text]);
            let (before, after) = (content("only before\n"), content(&format!("{text}\n")));
            step["changes"] = json!([
                {"path": "/content", "before": before, "after": after}, {"path": "/mode", "after": text},
            ]);
        }
        for (_, target) in plan["targets"].as_object_mut().unwrap() {
            target["environment"] = text.into();
            target["labels"] = json!({ text: text });
        }
        for (_, info) in plan["remediations"].as_object_mut().unwrap() {
            info["because"] = json!({"id": text, "text": text});
        }
        for gate in plan["gates"].as_array_mut().unwrap() {
            gate["desired"] = json!({ text: text });
        }
        subject.plan = serde_json::from_value(plan).unwrap();
        // An edge with a reason, and all that the report says in words.
        for edge in subject.plan.steps.iter_mut().flat_map(|step| &mut step.edges) {
            edge.reason = Some(text.into());
        }
        let mut report: Value = serde_json::to_value(&subject.report).unwrap();
        for entry in report["entries"].as_array_mut().unwrap() {
            for name in ["message", "why", "key"] {
                if entry["reason"].get(name).is_some() {
                    entry["reason"][name] = text.into();
                }
            }
        }
        subject.report = serde_json::from_value(report).unwrap();
        let first = &subject.plan.steps[0];
        subject.report.left_out.push(LeftOutEntry {
            target: first.target.clone(),
            address: first.address.clone(),
            why: text.into(),
        });
        let finding = || Finding { rule: text.into(), message: text.into() };
        subject.decision.deny = [finding()].into();
        subject.decision.warn = [finding()].into();
        for voucher in &mut subject.vouchers {
            voucher.file = text.into();
            voucher.kind = text.into();
            voucher.says = vec![(text.into(), text.into())];
        }
        subject.vouchers[0].standing = Standing::Unverified(text.into());
        subject.vouchers[1].standing = Standing::Verified(vec![text.into(), text.into()]);
        subject
    }
}

fn parsed(page: &str) -> RcDom {
    parse_document(RcDom::default(), ParseOpts::default()).one(page)
}

/// Calls with every element, its attributes, and whether it begins or ends.
fn walk(node: &Handle, see: &mut impl FnMut(&str, &BTreeMap<String, String>, &Handle, bool)) {
    let element = match &node.data {
        NodeData::Element { name, attrs, .. } => {
            let attributes: BTreeMap<String, String> = attrs
                .borrow()
                .iter()
                .map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string()))
                .collect();
            Some((name.local.to_string(), attributes))
        }
        NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. } => panic!("the page has neither"),
        _ => None,
    };
    if let Some((name, attributes)) = &element {
        see(name, attributes, node, true);
    }
    for child in node.children.borrow().iter() {
        walk(child, see);
    }
    if let Some((name, attributes)) = &element {
        see(name, attributes, node, false);
    }
}

/// The elements of a page with the names of their attributes, in order and nesting.
fn structure(page: &str) -> Vec<String> {
    let mut out = Vec::new();
    walk(&parsed(page).document, &mut |name, attributes, _, begins| {
        let names: Vec<&str> = attributes.keys().map(String::as_str).collect();
        out.push(if begins { format!("<{name} {}>", names.join(" ")) } else { format!("</{name}>") });
    });
    out
}

fn text_of(node: &Handle) -> String {
    node.children
        .borrow()
        .iter()
        .map(|child| match &child.data {
            NodeData::Text { contents } => contents.borrow().to_string(),
            _ => text_of(child),
        })
        .collect()
}

/// The page without what is the same on each.
fn short(page: &str) -> String {
    let cut = |page: &str, begin: &str, end: &str| {
        let (head, rest) = page.split_once(begin).unwrap();
        let (_, tail) = rest.split_once(end).unwrap();
        format!("{head}{begin}…{end}{tail}")
    };
    let page = cut(page, "<style>", "</style>");
    let page = cut(&page, "<script>", "</script>");
    cut(&page, "style-src '", "; base-uri")
}

#[test]
fn a_rich_page() {
    insta::assert_snapshot!(short(&Subject::new().page()));
}

#[test]
fn the_same_plan_is_the_same_page() {
    assert_eq!(Subject::new().page(), Subject::new().page());
}

#[test]
fn nothing_is_fetched_and_only_our_style_and_script_count() {
    let page = Subject::new().page();
    let dom = parsed(&page);
    let (mut policy, mut seen) = (String::new(), Vec::new());
    walk(&dom.document, &mut |name, attributes, node, begins| {
        if !begins {
            return;
        }
        for (attribute, value) in attributes {
            assert!(
                !attribute.starts_with("on") && attribute != "style" && attribute != "src",
                "{name} {attribute}"
            );
            if attribute == "href" {
                assert!(value.starts_with('#'), "{value}");
            }
        }
        match name {
            "meta" if attributes.get("http-equiv").is_some() => policy = attributes["content"].clone(),
            "style" | "script" => seen.push((name.to_owned(), text_of(node))),
            "link" | "img" | "iframe" | "object" | "embed" | "base" | "image" | "use" => panic!("{name}"),
            _ => {}
        }
    });
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let [(style, styles), (script, scripts)] = seen.as_slice() else { panic!("{}", seen.len()) };
    assert_eq!((style.as_str(), script.as_str()), ("style", "script"));
    for text in [styles, scripts] {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let digest = FileDigests::of_bytes(text.as_bytes()).sha256;
        assert!(policy.contains(&format!("'sha256-{}'", STANDARD.encode(digest.as_bytes()))), "{policy}");
        assert!(!text.contains("url(h") && !text.contains("@import") && !text.contains("fetch("));
    }
}

#[test]
fn links_lead_somewhere_and_parts_have_names() {
    let page = Subject::new().page();
    let (mut ids, mut links, mut named) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    walk(&parsed(&page).document, &mut |name, attributes, node, begins| {
        if !begins {
            return;
        }
        if let Some(id) = attributes.get("id") {
            assert!(ids.insert(id.clone()), "twice: {id}");
        }
        if let Some(link) = attributes.get("href") {
            links.insert(link.trim_start_matches('#').to_owned());
        }
        for label in attributes.get("aria-labelledby").into_iter().flat_map(|ids| ids.split(' ')) {
            named.insert(label.to_owned());
        }
        match name {
            "button" => assert_eq!(attributes.get("type").map(String::as_str), Some("button")),
            "th" => assert!(attributes.contains_key("scope")),
            "nav" | "form" => assert!(attributes.contains_key("aria-label")),
            "html" => assert_eq!(attributes.get("lang").map(String::as_str), Some("en")),
            "summary" => assert!(!text_of(node).trim().is_empty()),
            _ => {}
        }
    });
    assert!(links.is_subset(&ids), "{:?}", links.difference(&ids));
    assert!(named.is_subset(&ids), "{:?}", named.difference(&ids));
    // A finding leads to the change that it is about.
    assert!(links.iter().any(|link| link.starts_with('c') && link[1..].parse::<u32>().is_ok()));
}

#[test]
fn what_must_be_known_is_there() {
    let subject = Subject::new();
    let page = subject.page();
    let digests = digests(&subject.plan);
    for part in [
        digests.blake3.hex(),
        digests.sha256.hex(),
        "Denied, asks for 2 approvals".into(),
        "Signature NOT verified: its key is not listed".into(),
        "Signature verified: author with SHA256:abc".into(),
        "cannot be taken back".into(),
        "could not be decided".into(),
        "why: triggered by `web/line`".into(),
        "undo exact: update".into(),
        "retry once".into(),
    ] {
        assert!(page.contains(&part), "{part}");
    }
    for step in &subject.plan.steps {
        assert!(page.contains(&format!("<code>{}</code>", step.address)), "{}", step.address);
    }
}

/// Pieces that try to leave the place where a text stands.
pub const HOSTILE: [&str; 20] = [
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}",
    "</pre></details></section></main>",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<?xml?>",
    "</title></svg><math>",
    "<svg/onload=alert(1)>",
    "<textarea>",
    "<plaintext>",
    "&lt;b&gt;&#60;b>&#x3c;b>&quot;",
    "javascript:alert(1)",
    "\u{202e}\u{2066}\u{200b}",
    "\u{0}\u{1b}[2J\r\u{b}\u{c}",
    "\u{feff}\u{fffe}\u{ffff}",
    "<a href=\"http://example.org\">x</a>",
];

/// A text with the same lines, and nothing but plain letters on them.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { 'x' }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_text_adds_an_element(pieces in prop::collection::vec(
        prop_oneof![prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned), any::<String>(), Just("\n".to_owned())],
        1..6,
    )) {
        let text = pieces.concat();
        let page = Subject::with(&text).page();
        prop_assert_eq!(structure(&page), structure(&Subject::with(&plain(&text)).page()));
        let hidden = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{200b}\u{feff}\u{fffe}".contains(c);
        prop_assert!(!page.contains(|c| hidden(c) && c != '\t'), "a hidden character is in the page");
    }
}
