//! The examples with the services that they are about, as their pages say they are run on a real host.

use crate::{active, here, inventory, pid, systemctl};
use rectify_tests::Scratch;
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../examples/", $path))
    };
}

/// The first block of a page in this language that holds a word.
fn block<'p>(page: &'p str, word: &str) -> &'p str {
    let mut blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(word)).unwrap()
}

/// A remediation with the steps that its page adds, and taken back when it fails.
fn with(remediation: &str, steps: &str) -> String {
    let text = remediation.replacen("\nverify:", &format!("\n{}\nverify:", steps.trim_end()), 1);
    assert_ne!(text, remediation);
    text.replace("undo: manual", "undo: auto")
}

fn project(target: &str, role: &str, settings: &str, name: &str, remediation: &str) -> Scratch {
    let scratch = here();
    inventory(&scratch, target, role);
    scratch.write("project/rectify.yaml", settings);
    scratch.write(&format!("project/remediations/{name}.yaml"), remediation);
    scratch.trust(1);
    scratch
}

fn sshd(setting: &str) -> String {
    let output = Command::new("/usr/sbin/sshd").arg("-T").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find(|line| line.starts_with(setting)).unwrap().to_owned()
}

/// A file as it was, back again after the test, and a service that reads it once more.
struct Kept(&'static str, Vec<u8>, &'static str);

impl Drop for Kept {
    fn drop(&mut self) {
        drop(fs::write(self.0, &self.1));
        systemctl(&["reload-or-restart", self.2]);
    }
}

#[test]
fn sshd_takes_up_its_login_grace_time() {
    let steps = block(example!("sshd-login-grace/README.md"), "service.reload");
    let validate = "      validate: [/usr/sbin/sshd, -t, -f, \"%s\"]\n";
    let text = with(example!("sshd-login-grace/remediations/login-grace.yaml"), steps)
        .replace(
            "      line: LoginGraceTime ${{ params.grace }}\n",
            &format!("      line: LoginGraceTime ${{{{ params.grace }}}}\n{validate}"),
        )
        .replace(
            "      line: MaxStartups 10:30:60\n",
            &format!("      line: MaxStartups 10:30:60\n{validate}"),
        );
    assert_eq!(text.matches("validate:").count(), 2);
    let scratch =
        project("bastion", "bastion", example!("sshd-login-grace/rectify.yaml"), "login-grace", &text);
    let file = "/etc/ssh/sshd_config";
    let _kept = Kept(file, fs::read(file).unwrap(), "ssh.service");
    let before = pid("ssh.service");
    scratch.seal("a.plan.json");
    let ran = scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(
        (sshd("logingracetime").as_str(), sshd("maxstartups").as_str()),
        ("logingracetime 0", "maxstartups 10:30:60")
    );
    // The process is the same one, and has read its file again.
    assert_eq!((active("ssh.service").as_str(), pid("ssh.service")), ("active", before));
    let reloads = Command::new("journalctl").args(["-u", "ssh.service", "-o", "cat"]).output().unwrap();
    let reloads = String::from_utf8(reloads.stdout).unwrap();
    assert!(reloads.contains("Received SIGHUP; restarting."), "{reloads}\n{}", ran.stdout);
    let after = scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]).stdout;
    assert!(after.contains("nothing to change"), "{after}");
}

/// Services of this test that stand for real ones, gone with it.
struct Services(&'static [&'static str]);

impl Drop for Services {
    fn drop(&mut self) {
        for name in self.0 {
            systemctl(&["stop", name]);
            drop(fs::remove_file(format!("/etc/systemd/system/{name}")));
            drop(fs::remove_dir_all(format!("/etc/systemd/system/{name}.d")));
        }
        drop(fs::remove_file("/usr/bin/dockerd"));
        systemctl(&["daemon-reload"]);
    }
}

#[test]
fn container_services_take_up_their_settings() {
    let steps = block(example!("container-host/README.md"), "restart-docker");
    let text = with(example!("container-host/remediations/settings.yaml"), steps) + "undo: auto\n";
    for (path, content) in [
        ("/etc/containerd/config.toml", example!("container-host/root/etc/containerd/config.toml")),
        ("/etc/prometheus/prometheus.yml", example!("container-host/root/etc/prometheus/prometheus.yml")),
        ("/etc/docker/daemon.json", example!("container-host/root/etc/docker/daemon.json")),
        (
            "/etc/systemd/system/docker.service.d/override.conf",
            example!("container-host/root/etc/systemd/system/docker.service.d/override.conf"),
        ),
    ] {
        fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let services = Services(&["docker.service", "containerd.service", "prometheus.service"]);
    // It stays up only with a setting that it can read, and tells how it was called.
    let dockerd = "#!/bin/sh\ngrep -q '^{' /etc/docker/daemon.json || exit 1\necho \"$*\" >/run/dockerd-called\nexec sleep infinity\n";
    fs::write("/usr/bin/dockerd", dockerd).unwrap();
    fs::set_permissions("/usr/bin/dockerd", PermissionsExt::from_mode(0o755)).unwrap();
    for name in services.0 {
        let text = match *name {
            "docker.service" => "[Service]\nExecStart=/usr/bin/dockerd\n",
            "containerd.service" => "[Service]\nExecStart=/bin/sleep infinity\n",
            _ => {
                "[Service]\nExecStart=/bin/sh -c 'trap \"echo heard\" HUP; while :; do sleep 0.1; done'\nExecReload=/bin/kill -HUP $MAINPID\n"
            }
        };
        fs::write(format!("/etc/systemd/system/{name}"), text).unwrap();
    }
    systemctl(&["daemon-reload"]);
    for name in services.0 {
        systemctl(&["start", name]);
    }
    assert!(fs::read_to_string("/run/dockerd-called").unwrap().contains("tcp://0.0.0.0:2375"));
    let before: Vec<String> = services.0.iter().map(|name| pid(name)).collect();
    let scratch = project("node", "containers", example!("container-host/rectify.yaml"), "settings", &text);
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    let after: Vec<String> = services.0.iter().map(|name| pid(name)).collect();
    for name in services.0 {
        assert_eq!(active(name), "active", "{name}");
    }
    // Docker and containerd are other processes, Prometheus is the same one.
    assert!(after[0] != before[0] && after[1] != before[1] && after[2] == before[2], "{before:?} {after:?}");
    // The drop-in was changed by another provider, and is in force all the same.
    assert_eq!(fs::read_to_string("/run/dockerd-called").unwrap(), "-H fd://\n");
    let limit = systemctl(&["show", "--value", "--property", "LimitNOFILE", "docker.service"]);
    assert_eq!(limit, "65536");
    let left = scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]).stdout;
    assert!(left.contains("nothing to change"), "{left}");
}

#[test]
fn a_host_is_hardened_at_once_and_taken_back() {
    let steps = block(example!("hardening/README.md"), "sysctl.value");
    let text = example!("hardening/remediations/baseline.yaml");
    // The steps of the page in the place of the module's.
    let (before, rest) = text.split_once("  network:\n").unwrap();
    let (_, verify) = rest.split_once("verify:\n").unwrap();
    let text = format!("{before}{}\nverify:\n{verify}", steps.trim_end())
        .replace("/60-network.conf", "/60-rectify-net.ipv4.tcp_syncookies.conf");
    assert_eq!(text.matches("60-rectify-net.ipv4.tcp_syncookies.conf").count(), 1);
    let scratch = project("web", "web", example!("hardening/rectify.yaml"), "baseline", &text);
    let groups = fs::read_to_string(scratch.path("project/inventory/local.yaml")).unwrap();
    scratch.write(
        "project/inventory/local.yaml",
        &format!("{groups}groups: {{routers: [], hardened: [web]}}\n"),
    );
    let keys = ["conf/all/accept_redirects", "conf/all/send_redirects", "tcp_syncookies"];
    let live = |key: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{key}")).unwrap().trim().to_owned();
    for key in keys {
        fs::write(format!("/proc/sys/net/ipv4/{key}"), "1").unwrap();
    }
    let kept = |key: &str| format!("/etc/sysctl.d/60-rectify-net.ipv4.{}.conf", key.replace('/', "."));
    let files = || ["login.defs", "issue", "issue.net"].map(|name| fs::read(format!("/etc/{name}")).unwrap());
    let before = files();
    scratch.seal("a.plan.json");
    let ran = scratch.ok(&["-C", "project", "apply", "a.plan.json"]).stdout;
    assert_eq!(keys.map(live), ["0", "0", "1"], "{ran}");
    assert!(keys.iter().all(|key| fs::metadata(kept(key)).is_ok()), "{ran}");
    assert!(String::from_utf8(files()[0].clone()).unwrap().contains("\nUMASK 027\n"));
    let left = scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]).stdout;
    assert!(left.contains("nothing to change"), "{left}");
    // Who boots the host anew finds the same.
    for key in keys {
        fs::write(format!("/proc/sys/net/ipv4/{key}"), "1").unwrap();
    }
    assert!(Command::new("/lib/systemd/systemd-sysctl").status().unwrap().success());
    assert_eq!(keys.map(live), ["0", "0", "1"]);
    let run = ran.lines().find_map(|line| line.strip_prefix("run ")).unwrap();
    let run = run.split(':').next().unwrap();
    scratch.ok(&["-C", "project", "undo", run, "--out", "back.plan.json"]);
    scratch.ok(&["-C", "project", "seal", "back.plan.json", "--key", "keys-author"]);
    scratch.ok(&["approve", "back.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&["-C", "project", "apply", "back.plan.json"]);
    assert_eq!(keys.map(live), ["1", "1", "1"]);
    assert!(keys.iter().all(|key| fs::metadata(kept(key)).is_err()));
    assert_eq!(files(), before);
}
