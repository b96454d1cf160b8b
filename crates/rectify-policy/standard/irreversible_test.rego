package rectify_test

import data.rectify

undoing(grade) := {"changes": [{"target": "web-1", "address": "a/b", "undo": grade, "because": {"id": "T-1", "text": ""}}]}

test_what_cannot_be_taken_back_is_pointed_out if {
	rectify.warn == {{"rule": "irreversible", "message": "a/b on web-1 cannot be taken back"}} with input as undoing("none")
}

test_what_can_be_taken_back_is_not if {
	every grade in ["exact", "lossy"] {
		count(rectify.warn) == 0 with input as undoing(grade)
	}
}

in_production(fields) := {
	"targets": {"web-1": {"environment": "prod", "labels": {}}},
	"changes": [object.union({"target": "web-1", "address": "a/b", "action": "update", "undo": "none", "paths": [], "because": {"id": "T-1", "text": ""}}, fields)],
}

looked_at contains demand.message if {
	some demand in rectify.require_approval
	demand.rule == "irreversible"
}

lost contains finding.message if {
	some finding in rectify.deny
	finding.rule == "irreversible"
}

test_what_is_not_undone_exactly_in_production_is_looked_at if {
	looked_at == {"a/b on web-1 changes production, and what undoes it is graded lossy"} with input as in_production({"undo": "lossy"})
	count(looked_at) == 1 with input as in_production({})
	count(looked_at) == 0 with input as in_production({"undo": "exact"})
	count(looked_at) == 0 with input as object.union(in_production({}), {"targets": {"web-1": {"environment": "test", "labels": {}}}})
}

test_nothing_is_lost_for_good_in_production if {
	lost == {"a/b on web-1 deletes in production and cannot be taken back"} with input as in_production({"action": "delete"})
	count(lost) == 0 with input as in_production({})
	count(lost) == 0 with input as in_production({"action": "replace", "undo": "lossy"})
}
