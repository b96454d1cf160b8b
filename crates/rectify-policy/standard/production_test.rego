package rectify_test

import data.rectify

living(environment) := {
	"targets": {"web-1": {"environment": environment, "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "because": {"id": "T-1", "text": ""}}],
}

test_production_needs_an_approval if {
	every environment in ["prod", "production"] {
		count(rectify.require_approval) == 1 with input as living(environment)
	}
}

test_other_environments_need_none if {
	count(rectify.require_approval) == 0 with input as living("test")
}

test_production_without_changes_needs_none if {
	count(rectify.require_approval) == 0 with input as {
		"targets": {"web-1": {"environment": "prod", "labels": {}}},
		"changes": [],
	}
}

test_an_unknown_target_needs_an_approval if {
	count(rectify.require_approval) == 1 with input as {
		"targets": {},
		"changes": [{"target": "web-1", "address": "a/b"}],
	}
}

test_an_environment_may_ask_for_more_people if {
	counts := {demand.count | some demand in rectify.require_approval} with input as living("vault")
		with data.production as {"vault": 3}
	counts == {3}
}
