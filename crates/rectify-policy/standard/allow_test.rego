package rectify_test

import data.rectify

test_nothing_to_say_allows if rectify.allow with input as {"changes": [], "targets": {}}

test_a_refusal_does_not_allow if {
	not rectify.allow with input as {
		"targets": {"web-1": {"environment": "test", "labels": {}}},
		"changes": [{"target": "web-1", "address": "a/b", "action": "create", "paths": ["/boot/x"]}],
	}
}

damaged_calendar := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "action": "create", "paths": ["/etc/motd"]}],
	"freeze": {"active": [], "problems": [{"calendar": "x.ics", "place": "x.ics:1", "message": "cut off"}]},
}

test_an_overridden_refusal_allows if {
	not rectify.allow with input as damaged_calendar
	rectify.allow with input as object.union(damaged_calendar, {"overrides": ["freeze"]})
	not rectify.allow with input as object.union(damaged_calendar, {"overrides": ["too_many_changes"]})
}

test_what_must_not_be_overridden_is_not if {
	not rectify.allow with input as {
		"targets": {"web-1": {"environment": "test", "labels": {}}},
		"changes": [{"target": "web-1", "address": "a/b", "action": "create", "paths": ["/boot/x"]}],
		"overrides": ["forbidden_paths"],
	}
}
