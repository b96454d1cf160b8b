package rectify_test

import data.rectify

test_nothing_to_say_allows if rectify.allow with input as {"changes": [], "targets": {}}

test_a_refusal_does_not_allow if {
	not rectify.allow with input as {
		"targets": {"web-1": {"environment": "test", "labels": {}}},
		"changes": [{"target": "web-1", "address": "a/b", "action": "create", "paths": ["/boot/x"]}],
	}
}
