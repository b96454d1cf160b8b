//! The examples, planned and applied on real files.

use rectify_tests::Scratch;
use std::{fs, path::Path};

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Brings an example with its files through the whole chain, and expects nothing left to do.
fn applied(example: &str, target: &str, files: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    fs::remove_dir_all(scratch.path("project")).unwrap();
    copy(&examples.join(example), &scratch.path("project"));
    for file in files {
        let to = scratch.path(&format!("project/root/{file}"));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(examples.join("files").join(file), to).unwrap();
    }
    scratch.ok(&["-C", "project", "inventory", "adopt", target]);
    scratch.trust(1);
    scratch.ok(&["-C", "project", "validate"]);
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    let after = scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]).stdout;
    assert!(after.contains("nothing to change"), "{after}");
    scratch
}

/// Lines that are in one text and not in the other, in order.
fn differing(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let only = |a: &str, b: &str| {
        a.lines().filter(|line| !b.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    (only(before, after), only(after, before))
}

#[test]
fn sshd_login_grace() {
    let file = "etc/ssh/sshd_config";
    let scratch = applied("sshd-login-grace", "bastion", &[file]);
    let before =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/files").join(file))
            .unwrap();
    let (gone, new) = differing(&before, &scratch.read(&format!("project/root/{file}")));
    assert_eq!(gone, ["#LoginGraceTime 2m", "#MaxStartups 10:30:100"]);
    assert_eq!(new, ["LoginGraceTime 0", "MaxStartups 10:30:60"]);
}

#[test]
fn hardening() {
    let scratch = applied("hardening", "web", &["etc/login.defs", "etc/issue.net"]);
    let sysctl = scratch.read("project/root/etc/sysctl.d/60-network.conf");
    assert_eq!(sysctl.lines().count(), 3, "{sysctl}");
    for banner in ["issue", "issue.net"] {
        assert!(scratch.read(&format!("project/root/etc/{banner}")).starts_with("Authorised users only."));
    }
    let before =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/files/etc/login.defs"))
            .unwrap();
    let (gone, new) = differing(&before, &scratch.read("project/root/etc/login.defs"));
    assert_eq!(gone, ["UMASK\t\t022", "PASS_MAX_DAYS\t99999", "ENCRYPT_METHOD SHA512"]);
    assert_eq!(new, ["UMASK 027", "PASS_MAX_DAYS 365", "ENCRYPT_METHOD YESCRYPT"]);
    let why = scratch.ok(&["why", "a.plan.json", "baseline/network/file"]).stdout;
    assert!(why.starts_with("web:baseline/network/file: "), "{why}");
}

#[test]
fn container_host() {
    let scratch = applied("container-host", "node", &[]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/container-host/root");
    let changed = |file: &str| {
        let before = fs::read_to_string(root.join(file)).unwrap();
        let (gone, new) = differing(&before, &scratch.read(&format!("project/root/{file}")));
        let trimmed =
            |lines: Vec<String>| lines.iter().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        (trimmed(gone), trimmed(new))
    };
    let text = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        changed("etc/docker/daemon.json"),
        (
            text(&[
                r#""log-opts": {"labels": "app"},"#,
                r#""insecure-registries": ["registry.example:5000"],"#,
                r#""default-ulimits": {"nofile": {"Hard": 65536, "Soft": 1024, "Name": "nofile"}}"#,
            ]),
            text(&[
                r#""log-opts": {"labels": "app", "max-size": "20m", "max-file": "3"},"#,
                r#""default-ulimits": {"nofile": {"Hard": 65536, "Soft": 1024, "Name": "nofile"}},"#,
                r#""live-restore": true"#,
            ])
        )
    );
    assert_eq!(
        changed("etc/systemd/system/docker.service.d/override.conf"),
        (
            text(&["ExecStart=/usr/bin/dockerd -H fd:// -H tcp://0.0.0.0:2375", "#LimitNOFILE=1048576"]),
            text(&["ExecStart=/usr/bin/dockerd -H fd://", "LimitNOFILE=65536"])
        )
    );
    assert_eq!(
        changed("etc/containerd/config.toml"),
        (
            text(&["SystemdCgroup = false   # should follow the init system"]),
            text(&[
                "SystemdCgroup = true   # should follow the init system",
                "[metrics]",
                r#"address = "127.0.0.1:1338""#
            ])
        )
    );
    assert_eq!(
        changed("etc/prometheus/prometheus.yml"),
        (
            text(&["scrape_interval: 15s  # too often for small nodes", "- targets: ['127.0.0.1:9100']"]),
            text(&[
                "scrape_interval: 30s  # too often for small nodes",
                "- targets: ['127.0.0.1:9100', '127.0.0.1:1338']"
            ])
        )
    );
}

#[test]
fn disk_pressure() {
    let files = ["etc/systemd/journald.conf", "etc/logrotate.conf", "etc/logrotate.d/rsyslog"];
    let scratch = applied("disk-pressure", "app", &files);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let changed = |file: &str| {
        let before = fs::read_to_string(examples.join("files").join(file)).unwrap();
        differing(&before, &scratch.read(&format!("project/root/{file}")))
    };
    let (gone, new) = changed(files[0]);
    assert_eq!(gone, ["#SystemMaxUse=", "#SystemKeepFree=", "#MaxRetentionSec="]);
    assert_eq!(new, ["SystemMaxUse=500M", "SystemKeepFree=1G", "MaxRetentionSec=14day"]);
    let (gone, new) = changed(files[1]);
    assert_eq!(
        (gone, new),
        (vec!["#compress".to_owned()], vec!["compress".to_owned(), "maxsize 100M".to_owned()])
    );
    let (gone, new) = changed(files[2]);
    assert_eq!((gone, new), (vec!["\trotate 4".to_owned()], vec!["\trotate 7".to_owned()]));
    // What the page shows is what the plan shows.
    let shown = scratch.ok(&["show", "a.plan.json", "--details"]).stdout;
    let page = fs::read_to_string(examples.join("disk-pressure/README.md")).unwrap();
    let block = page.split("```diff\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<&str> = block.lines().collect();
    assert!(lines.len() >= 12, "{block}");
    for line in lines {
        assert!(
            shown.lines().any(|other| other.trim_start_matches(' ') == line.trim_start_matches(' ')),
            "{line:?} is not in\n{shown}"
        );
    }
}

#[test]
fn disk_pressure_with_an_edit_in_between() {
    let scratch = Scratch::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    fs::remove_dir_all(scratch.path("project")).unwrap();
    copy(&examples.join("disk-pressure"), &scratch.path("project"));
    copy(&examples.join("files"), &scratch.path("project/root"));
    scratch.ok(&["-C", "project", "inventory", "adopt", "app"]);
    scratch.trust(1);
    scratch.seal("a.plan.json");
    let file = "project/root/etc/logrotate.conf";
    let edited = scratch.read(file) + "# just a note\n";
    scratch.write(file, &edited);
    let ran = scratch.run(&["-C", "project", "apply", "a.plan.json"]);
    // The other steps wait for nothing: they may be done before the edit is seen, or not be begun.
    assert!([4, 5].contains(&ran.code), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("   stale  app:log-space/compress: "), "{}", ran.stderr);
    assert!(ran.stderr.contains(" skipped  app:log-space/size"), "{}", ran.stderr);
    assert_eq!(scratch.read(file), edited);
    let left = scratch.ok(&["-C", "project", "plan"]).stdout;
    assert!(left.contains("log-space/compress"), "{left}");
}
