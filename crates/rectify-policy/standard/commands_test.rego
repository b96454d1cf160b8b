package rectify_test

import data.rectify

executing(commands) := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "action": "update", "prediction": "conditional", "paths": [], "because": {"id": "T-1", "text": ""}, "commands": commands}],
	"gates": [],
}

bare(when, argv) := {"when": when, "argv": argv, "environment": {}, "stdin": false}

asked contains demand.message if {
	some demand in rectify.require_approval
	demand.rule == "commands"
}

reload := ["systemctl", "reload", "ssh.service"]

test_a_command_needs_a_person if {
	asked == {"a/b on web-1 executes [\"systemctl\",\"reload\",\"ssh.service\"] (run)"} with input as executing([bare("run", reload)])
}

test_a_script_needs_a_person if {
	asked == {"a/b on web-1 executes a script of 11 characters that begins with \"curl x | sh\" as app (run)"} with input as executing([{
		"when": "run", "script": "curl x | sh", "user": "app", "environment": {}, "stdin": false,
	}])
}

test_guards_and_checkers_need_a_person if {
	every when in ["guard", "validate"] {
		count(asked) == 1 with input as executing([bare(when, ["/tmp/x", "%s"])])
	}
}

test_a_gate_that_executes_needs_a_person if {
	asked == {"a/verify:0 on web-1 executes [\"/tmp/x\"] (gate)"} with input as {
		"targets": {}, "changes": [],
		"gates": [{"target": "web-1", "address": "a/verify:0", "commands": [bare("gate", ["/tmp/x"])]}],
	}
}

test_an_action_that_does_not_say_what_it_executes_needs_a_person if {
	asked == {"a/b on web-1 is an action of type x.do that does not say what it executes"} with input as {
		"targets": {}, "gates": [],
		"changes": [{"target": "web-1", "address": "a/b", "type": "x.do", "action": "run", "commands": []}],
	}
}

test_a_command_without_words_needs_a_person if {
	asked == {"a/b on web-1 executes something unknown (run)"} with input as executing([{"when": "run", "environment": {}, "stdin": false}])
}

test_known_checkers_need_nobody if {
	every argv in [["/usr/sbin/sshd", "-t", "-f", "%s"], ["visudo", "-c", "-f", "%s"], ["nginx", "-t", "-c", "%s"]] {
		count(asked) == 0 with input as executing([bare("validate", argv)])
	}
}

test_known_checkers_in_another_shape_are_not_known if {
	every argv in [["/tmp/sshd", "-t", "-f", "%s"], ["sshd", "-t"], ["sshd", "-f", "%s"], ["sshd", "-t", "-f", "%s", "-o", "x"], ["sshd -t -f %s"], ["nginx", "-t", "-c", "%s", "-g", "load_module /tmp/x.so;"]] {
		count(asked) == 1 with input as executing([bare("validate", argv)])
	}
}

test_checkers_are_for_checking if {
	count(asked) == 1 with input as executing([bare("run", ["sshd", "-t", "-f", "%s"])])
}

test_what_is_listed_needs_nobody if {
	count(asked) == 0 with input as executing([bare("run", reload), bare("guard", reload)])
		with data.commands.allowed as [{"argv": reload}]
	count(asked) == 0 with input as executing([{"when": "run", "script": "true\n", "user": "app", "environment": {"A": "1"}, "stdin": false}])
		with data.commands.allowed as [{"script": "true\n", "user": "app", "environment": {"A": "1"}}]
}

test_what_is_around_a_listed_command_counts if {
	every more in [{"user": "app"}, {"directory": "/tmp"}, {"environment": {"LD_PRELOAD": "/tmp/x.so"}}, {"stdin": true}] {
		count(asked) == 1 with input as executing([object.union(bare("run", reload), more)])
			with data.commands.allowed as [{"argv": reload}]
	}
	count(asked) == 1 with input as executing([bare("run", reload)])
		with data.commands.allowed as [{"argv": reload, "user": "app"}]
	count(asked) == 1 with input as executing([object.union(bare("run", reload), {"stdin": true})])
		with data.commands.allowed as [{"argv": reload, "stdin": true}]
}
