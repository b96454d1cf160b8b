package rectify_test

import data.rectify

deleting(number) := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [{"target": "web-1", "address": sprintf("a/b%d", [n]), "action": "delete", "paths": [], "because": {"id": "T-1", "text": ""}} | some n in numbers.range(1, number)],
}

deletions contains finding.message if {
	some finding in rectify.deny
	finding.rule == "deletions"
}

test_many_deletions_are_refused if {
	deletions == {"4 steps delete or replace, but at most 3 are accepted in one plan; the first are a/b1 on web-1, a/b2 on web-1, a/b3 on web-1"} with input as deleting(4)
		with data.limits.deletions as 3
	count(deletions) == 0 with input as deleting(3)
		with data.limits.deletions as 3
}
