package rectify_test

import data.rectify

test_a_missing_reason_is_pointed_out if {
	rectify.warn == {{"rule": "missing_because", "message": "remediation a does not say why it exists"}} with input as {"changes": [
		{"target": "web-1", "address": "a/b", "remediation": "a", "undo": "exact"},
		{"target": "web-2", "address": "a/b", "remediation": "a", "undo": "exact"},
	]}
}

test_a_reason_is_enough if {
	count(rectify.warn) == 0 with input as {"changes": [
		{"target": "web-1", "address": "a/b", "remediation": "a", "undo": "exact", "because": {"id": "T-1", "text": ""}},
	]}
}

without_reason(environment) := {
	"targets": {"web-1": {"environment": environment, "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "remediation": "a", "undo": "exact"}],
}

test_production_wants_a_reason if {
	rectify.deny == {{"rule": "missing_because", "message": "remediation a changes prod, where a `because` is required"}} with input as without_reason("prod")
	count(rectify.deny) == 0 with input as without_reason("test")
}
