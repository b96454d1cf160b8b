package rectify_test

import data.rectify

running(change) := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [object.union({"target": "web-1", "address": "a/b", "type": "command.run", "action": "run", "paths": [], "because": {"id": "T-1", "text": ""}}, change)],
}

test_an_opaque_command_needs_a_person if {
	rectify.require_approval == {{
		"rule": "opaque_commands",
		"message": "a/b on web-1 runs a command whose effect is not known: systemctl reload ssh",
		"count": 1,
	}} with input as running({"prediction": "opaque", "command": ["systemctl", "reload", "ssh"]})
}

test_an_opaque_action_without_command_needs_a_person if {
	count(rectify.require_approval) == 1 with input as running({"prediction": "opaque"})
}

test_a_guarded_command_needs_nobody if {
	count(rectify.require_approval) == 0 with input as running({"prediction": "conditional", "command": ["true"]})
}
