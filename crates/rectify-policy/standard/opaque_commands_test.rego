package rectify_test

import data.rectify

running(change) := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [object.union({"target": "web-1", "address": "a/b", "type": "command.run", "action": "run", "paths": [], "commands": [], "because": {"id": "T-1", "text": ""}}, change)],
}

effects contains demand.message if {
	some demand in rectify.require_approval
	demand.rule == "opaque_commands"
}

test_an_opaque_command_needs_a_person if {
	effects == {"a/b on web-1 runs a command whose effect is not known: [\"systemctl\",\"reload\",\"ssh\"]"} with input as running({
		"prediction": "opaque",
		"commands": [
			{"when": "run", "argv": ["systemctl", "reload", "ssh"]},
			{"when": "guard", "argv": ["true"]},
		],
	})
}

test_an_opaque_action_without_command_needs_a_person if {
	effects == {"a/b on web-1 runs a command whose effect is not known: command.run"} with input as running({"prediction": "opaque"})
}

test_a_guarded_command_is_not_opaque if {
	count(effects) == 0 with input as running({"prediction": "conditional", "commands": [{"when": "run", "argv": ["true"]}]})
}
