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
