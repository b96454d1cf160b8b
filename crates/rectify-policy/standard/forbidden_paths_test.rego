package rectify_test

import data.rectify

writing(action, path) := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "action": action, "paths": [path], "because": {"id": "T-1", "text": ""}}],
}

refused(action, path) if {
	some finding in rectify.deny with input as writing(action, path)
	finding.rule == "forbidden_paths"
}

test_forbidden_paths_are_refused if {
	every path in ["/boot", "/boot/vmlinuz", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d/x", "/proc/sys/a", "/sys/a", "/dev/sda"] {
		refused("update", path)
	}
}

test_paths_that_are_not_plain_are_refused if {
	every path in ["etc/motd", "/etc/../boot/x", "/etc/./motd", "//etc/motd", "/etc/motd/", "/etc/motd/..", "/etc/a\nb", ""] {
		refused("update", path)
	}
}

test_removing_what_holds_a_forbidden_path_is_refused if {
	every path in ["/", "/etc", "/etc/"] {
		refused("delete", path)
	}
	refused("replace", "/etc")
}

test_other_paths_are_not_refused if {
	every path in ["/etc/motd", "/bootx", "/etc/sudo.conf", "/srv/dev/sda", "/etc/..x"] {
		not refused("update", path)
	}
	not refused("update", "/etc")
	not refused("delete", "/etc/motd")
}

test_exceptions_are_exact if {
	not refused("create", "/boot/x") with data.forbidden_paths.except as ["/boot/x"]
	refused("create", "/boot/y") with data.forbidden_paths.except as ["/boot/x"]
}
