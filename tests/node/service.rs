use crate::{active, here, pid, systemctl};
use rectify_tests::remediation;
use std::{fs, path::Path};

const UNIT: &str = "/etc/systemd/system/chain.service";
const DROP_IN: &str = "/etc/systemd/system/chain.service.d/10-speed.conf";

/// A service of this test, gone with it.
struct Chain;

impl Chain {
    fn new() -> Self {
        fs::write(UNIT, "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
            .unwrap();
        systemctl(&["daemon-reload"]);
        systemctl(&["start", "chain.service"]);
        assert_eq!(active("chain.service"), "active");
        Self
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        systemctl(&["disable", "--now", "--quiet", "chain.service"]);
        drop(fs::remove_file(UNIT));
        drop(fs::remove_dir_all("/etc/systemd/system/chain.service.d"));
        systemctl(&["daemon-reload"]);
        systemctl(&["reset-failed", "chain.service"]);
    }
}

/// A drop-in with a command, and a restart that makes it take effect.
fn speed(command: &str, writer: &str) -> String {
    let file = match writer {
        "service.unit_file" => format!(
            "    service.unit_file:\n      path: {DROP_IN}\n      content: |\n        [Service]\n        ExecStart=\n        ExecStart={command}\n"
        ),
        _ => format!(
            "    file.content:\n      path: {DROP_IN}\n      mode: \"0644\"\n      content: |\n        [Service]\n        ExecStart=\n        ExecStart={command}\n    after: [directory]\n  directory:\n    file.directory: {{path: /etc/systemd/system/chain.service.d, mode: \"0755\"}}\n"
        ),
    };
    remediation(
        "speed",
        &format!(
            "  speed:\n{file}  restart:\n    service.restart: {{unit: chain.service}}\n    on_change: [speed]\nundo: auto\n"
        ),
    )
}

#[test]
fn a_service_that_does_not_start_after_its_drop_in_changed_runs_again() {
    let _chain = Chain::new();
    let broken = "/bin/sh -c 'echo chain: no such flag: --fast >&2; exit 2'";
    for writer in ["service.unit_file", "file.content"] {
        let scratch = here();
        scratch.write("project/remediations/speed.yaml", &speed(broken, writer));
        scratch.trust(1);
        scratch.seal("a.plan.json");
        let before = pid("chain.service");
        let ran = scratch.run(&["-C", "project", "apply", "a.plan.json"]);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        // It failed, says why in the service's own words, and was taken back.
        assert_ne!(ran.code, 0, "{said}");
        assert!(said.contains("`chain.service` was not restarted"), "{said}");
        assert!(said.contains("chain: no such flag: --fast"), "{said}");
        assert!(!Path::new(DROP_IN).exists(), "{said}");
        assert!(!Path::new("/etc/systemd/system/chain.service.d").exists(), "{said}");
        assert_eq!(active("chain.service"), "active", "{said}");
        assert_ne!(pid("chain.service"), before);
        assert_eq!(systemctl(&["show", "--value", "--property", "NeedDaemonReload", "chain.service"]), "no");
        let history = scratch.ok(&["history"]).stdout;
        assert!(history.contains("undone"), "{history}");
    }
}

#[test]
fn a_service_takes_up_its_drop_in_once() {
    let _chain = Chain::new();
    let scratch = here();
    let steps = speed("/bin/sleep 86400", "service.unit_file");
    let steps = steps.replace(
        "undo: auto\n",
        "  enabled:\n    service.unit: {unit: chain.service, state: running, enabled: true}\n    after: [restart]\nundo: auto\n",
    );
    scratch.write("project/remediations/speed.yaml", &steps);
    scratch.trust(1);
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(systemctl(&["is-enabled", "chain.service"]), "enabled");
    let exec = systemctl(&["show", "--value", "--property", "ExecStart", "chain.service"]);
    assert!(exec.contains("/bin/sleep 86400"), "{exec}");
    // The second time there is nothing to do: what nothing triggers does not happen.
    let before = pid("chain.service");
    let after = scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]).stdout;
    assert!(after.contains("nothing to change"), "{after}");
    assert_eq!(pid("chain.service"), before);
    // Somebody stops it: that is drift, and nothing else is.
    systemctl(&["stop", "chain.service"]);
    let drift = scratch.expect(2, &["-C", "project", "plan", "--detailed-exitcode"]).stdout;
    assert!(drift.contains("speed/enabled") && !drift.contains("speed/restart"), "{drift}");
}
