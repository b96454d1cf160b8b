//! What reviewers get: pages, graphs, and what changed since they approved.

use rectify_tests::{Scratch, remediation};
use serde_json::Value;

const ONE: &str = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\", mode: \"0644\"}\n  b:\n    file.content: {path: /etc/b, content: \"<script>alert(1)</script>\\n\", mode: \"0644\"}\n    after: [a]\n";

fn planned() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write("project/remediations/one.yaml", &remediation("one", ONE));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    scratch
}

#[test]
fn a_page_says_what_policy_said_and_who_vouches() {
    let scratch = planned();
    let fresh = scratch.ok(&["-C", "project", "plan", "--format", "html"]).stdout;
    assert!(fresh.contains(">Allowed") && fresh.contains("when the plan was made"), "{fresh}");
    let bare = scratch.ok(&["show", "a.plan.json", "--format", "html"]).stdout;
    assert!(bare.contains("No decision is recorded") && bare.contains("Nobody has sealed"));
    assert!(!bare.contains("<script>alert"));
    scratch.seal("a.plan.json");
    let sealed = scratch.ok(&["show", "a.plan.json", "--format", "html"]).stdout;
    assert!(sealed.contains("when the plan was sealed, at 2"));
    assert_eq!(sealed.matches("Signature verified: ").count(), 3, "decision, seal, approval");
    assert!(sealed.contains("<dt>approver</dt><dd>reviewer</dd>"));
    // Digests as the tools print them.
    let sum = std::process::Command::new("sha256sum").arg(scratch.path("a.plan.json")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert!(sealed.contains(&format!("<code>{}</code>", sum.split(' ').next().unwrap())));
    assert_eq!(
        scratch.ok(&["show", "a.plan.json", "--format", "html"]).stdout,
        sealed,
        "the same page again"
    );
    // Without a trust file nobody is believed.
    std::fs::remove_file(scratch.path("trust.yaml")).unwrap();
    let unknown = scratch.ok(&["show", "a.plan.json", "--format", "html"]).stdout;
    assert_eq!(unknown.matches("Signature NOT verified: there is no trust file here").count(), 3);
    assert!(unknown.contains("claims, whose signature is NOT verified"));
}

#[test]
fn markdown_says_what_policy_said() {
    let scratch = planned();
    let page = scratch.ok(&["-C", "project", "plan", "--format", "markdown"]).stdout;
    assert!(page.contains("**Policy: allowed**"), "{page}");
    assert!(page.contains("`one/b`") && !page.contains("<script>alert(1)</script>`"));
    scratch.seal("a.plan.json");
    let page = scratch.ok(&["show", "a.plan.json", "--format", "markdown"]).stdout;
    assert!(page.contains("**Policy: allowed**, when the plan was sealed"), "{page}");
}

#[test]
fn graphs_of_projects_and_plans() {
    let scratch = planned();
    for arguments in [["-C", "project", "graph"].as_slice(), &["graph", "a.plan.json"]] {
        let with = |format: &str| scratch.ok(&[arguments, &["--format", format]].concat()).stdout;
        assert!(with("text").contains("    after one/a\n"));
        assert!(with("dot").starts_with("digraph rectify {\n") && with("dot").contains("n0 -> n1;"));
        assert!(with("svg").contains("<title>one/a comes before one/b</title>"));
    }
    let json: Value =
        serde_json::from_str(&scratch.ok(&["-C", "project", "graph", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["format"], "rectify.graph/v1");
    scratch.expect(64, &["graph", "a.plan.json", "--format", "json"]);
}

#[test]
fn what_changed_since_it_was_approved() {
    let scratch = planned();
    let nothing = scratch.expect(1, &["diff", "--since-approved", "a.plan.json"]);
    assert!(nothing.stderr.contains("error[plan-nothing-approved]"), "{}", nothing.stderr);
    scratch.seal("a.plan.json");
    let same = scratch.ok(&["diff", "--since-approved", "a.plan.json", "--detailed-exitcode"]);
    assert!(same.stdout.starts_with("The same plan: blake3:"), "{}", same.stdout);
    let other = ONE.replace("\"1\\n\"", "\"2\\n\"").replace("  b:", "  c:");
    scratch.write("project/remediations/one.yaml", &remediation("one", &other));
    scratch.ok(&["-C", "project", "plan", "--out", "b.plan.json"]);
    let named = scratch.expect(2, &["diff", "a.plan.json", "b.plan.json", "--detailed-exitcode"]).stdout;
    assert!(named.starts_with("Another plan: 1 step added, 1 step removed, 1 step changed\n"), "{named}");
    assert_eq!(scratch.ok(&["diff", "--since-approved", "b.plan.json"]).stdout, named);
    assert_eq!(scratch.ok(&["diff", "--since-approved", "b.plan.json", "--by", "reviewer"]).stdout, named);
    scratch.expect(1, &["diff", "--since-approved", "b.plan.json", "--by", "author"]);
    let markdown = scratch.ok(&["diff", "--since-approved", "b.plan.json", "--format", "markdown"]).stdout;
    assert!(markdown.starts_with("### Another plan: 1 step added"), "{markdown}");
    let json = scratch.ok(&["diff", "a.plan.json", "b.plan.json", "--format", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], "rectify.comparison/v1");
    assert!(
        json["differences"].as_array().unwrap().iter().any(|d| d["part"] == "step" && d["how"] == "added")
    );
    scratch.expect(64, &["diff", "a.plan.json"]);
    scratch.expect(64, &["diff", "--since-approved"]);
    // A live difference is still one.
    assert!(scratch.ok(&["-C", "project", "diff"]).stdout.contains("one/c"));
    assert!(
        scratch.expect(2, &["-C", "project", "diff", "one", "--detailed-exitcode"]).stdout.contains("one/c")
    );
}
