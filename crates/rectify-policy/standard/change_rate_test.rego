package rectify_test

import data.rectify

after_runs(environment, counts) := {
	"history": {"complete": true, "targets": {"web-1": counts}},
	"targets": {"web-1": {"environment": environment, "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "because": {"id": "T-1", "text": ""}}],
}

rates contains finding.message if {
	some finding in rectify.deny
	finding.rule == "change_rate"
}

few := {"lab": {"hour": 2, "day": 5}}

test_a_target_rests_between_changes if {
	rates == {"web-1 was changed by 2 runs within the last hour, and at most 2 are accepted"} with input as after_runs("lab", {"hour": 2, "day": 3, "week": 99})
		with data.change_rate.environments as few
	count(rates) == 2 with input as after_runs("lab", {"hour": 3, "day": 5, "week": 99})
		with data.change_rate.environments as few
}

test_a_target_that_rested_may_be_changed if {
	count(rates) == 0 with input as after_runs("lab", {"hour": 1, "day": 4, "week": 99})
		with data.change_rate.environments as few
}

test_without_history_nothing_was_changed if {
	count(rates) == 0 with input as object.remove(after_runs("lab", {}), ["history"])
		with data.change_rate.environments as few
}

test_other_environments_have_the_default_rate if {
	count(rates) == 1 with input as after_runs("other", {"hour": 1, "day": 1, "week": 1})
		with data.change_rate.default as {"week": 1}
}

test_runs_that_are_not_counted_are_many if {
	rates == {"there were more runs lately than are counted"} with input as object.union(after_runs("lab", {}), {"history": {"complete": false}})
}
