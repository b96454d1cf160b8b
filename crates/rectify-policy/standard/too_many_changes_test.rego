package rectify_test

import data.rectify

changing(targets) := {
	"targets": {target: {"environment": "test", "labels": {}} | some target in targets},
	"changes": [{"target": target, "address": "a/b", "action": "create", "paths": [], "because": {"id": "T-1", "text": ""}} | some target in targets],
}

messages contains finding.message if {
	some finding in rectify.deny
	finding.rule == "too_many_changes"
}

test_too_many_in_one_plan if {
	messages == {"3 changes, but at most 2 are accepted in one plan"} with input as changing(["a", "b", "c"])
		with data.limits.changes_total as 2
}

test_too_many_on_one_target if {
	messages == {"2 changes on a, but at most 1 are accepted on one target"} with input as changing(["a", "a", "b"])
		with data.limits.changes_per_target as 1
}

test_the_limits_themselves_are_accepted if {
	count(messages) == 0 with input as changing(["a", "a", "b"])
		with data.limits.changes_per_target as 2
		with data.limits.changes_total as 3
}
