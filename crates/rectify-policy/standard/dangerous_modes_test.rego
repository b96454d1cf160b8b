package rectify_test

import data.rectify

setting(type, fields) := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [object.union({"target": "web-1", "address": "a/b", "type": type, "action": "update", "paths": ["/srv/x"], "because": {"id": "T-1", "text": ""}}, fields)],
}

modes contains finding.message if {
	some finding in rectify.deny
	finding.rule == "dangerous_modes"
}

test_programs_that_run_as_somebody_else_are_refused if {
	modes == {"a/b on web-1 sets mode 04755, with which a file of root runs with the rights of its owner or group"} with input as setting("file.content", {"mode": "04755", "owner": "root"})
	every mode in ["4755", "2755", "06711", "2700", "004700"] {
		count(modes) == 1 with input as setting("file.content", {"mode": mode})
	}
	count(modes) == 1 with input as setting("file.directory", {"mode": "4755"})
}

test_what_everybody_may_write_is_refused if {
	modes == {"a/b on web-1 sets mode 0666, with which everybody may write"} with input as setting("file.content", {"mode": "0666"})
	every mode in ["777", "0002", "666", "2", "0772"] {
		count(modes) == 1 with input as setting("file.directory", {"mode": mode})
	}
}

test_a_mode_that_is_no_number_is_refused if {
	every mode in ["u+s", "", "0o644", "0888"] {
		count(modes) > 0 with input as setting("file.content", {"mode": mode})
	}
}

test_other_modes_are_not_refused if {
	every mode in ["0644", "755", "0700", "1777", "01777", "0", "444"] {
		count(modes) == 0 with input as setting("file.directory", {"mode": mode})
	}
	count(modes) == 0 with input as setting("file.directory", {"mode": "2775"})
	count(modes) == 0 with input as setting("file.content", {})
}

test_an_accepted_mode_is_one_of_its_paths_only if {
	count(modes) == 0 with input as setting("file.content", {"mode": "04755"})
		with data.modes.accepted as [{"mode": "04755", "paths": ["/srv/x"]}]
	count(modes) == 1 with input as setting("file.content", {"mode": "04755", "paths": ["/srv/x", "/usr/bin/y"]})
		with data.modes.accepted as [{"mode": "04755", "paths": ["/srv/x"]}]
}
