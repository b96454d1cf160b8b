package rectify_test

import data.rectify

reaching(environment, targets, changed, fleet) := {
	"fleet": {environment: fleet},
	"targets": {name: {"environment": environment, "labels": {}} | some name in targets},
	"changes": [{"target": name, "address": "a/b", "because": {"id": "T-1", "text": ""}} | some name in changed],
}

radius_findings contains finding.message if {
	some finding in rectify.deny
	finding.rule == "blast_radius"
}

small := {"targets": 2, "share_percent": 50, "share_from": 4}

test_more_targets_than_accepted_are_refused if {
	radius_findings == {"3 targets change in environment lab, but at most 2 are accepted in one plan"} with input as reaching("lab", ["a", "b", "c"], ["a", "b", "c"], 100)
		with data.blast_radius.environments as {"lab": small}
}

test_a_larger_part_than_accepted_is_refused if {
	radius_findings == {"3 of 4 targets change in environment lab, but at most 50 percent are accepted in one plan"} with input as reaching("lab", ["a", "b", "c"], ["a", "b", "c"], 4)
		with data.blast_radius.environments as {"lab": object.union(small, {"targets": 9})}
}

test_the_limits_of_the_radius_themselves_are_accepted if {
	count(radius_findings) == 0 with input as reaching("lab", ["a", "b", "c", "d"], ["a", "b"], 4)
		with data.blast_radius.environments as {"lab": small}
}

test_a_small_environment_has_no_part_worth_the_name if {
	count(radius_findings) == 0 with input as reaching("lab", ["a", "b"], ["a", "b"], 3)
		with data.blast_radius.environments as {"lab": small}
}

test_an_inventory_that_lacks_targets_is_not_believed if {
	count(radius_findings) == 1 with input as reaching("lab", ["a", "b", "c", "d"], ["a", "b", "c"], 1)
		with data.blast_radius.environments as {"lab": object.union(small, {"targets": 9})}
}

test_unknown_environments_have_the_default_radius if {
	count(radius_findings) == 1 with input as {"targets": {}, "changes": [{"target": name, "address": "a/b"} | some name in ["a", "b", "c"]]}
		with data.blast_radius.default as small
}
