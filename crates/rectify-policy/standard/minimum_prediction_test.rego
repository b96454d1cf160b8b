package rectify_test

import data.rectify

predicting(environment, action, grade) := {
	"targets": {"web-1": {"environment": environment, "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "type": "x.y", "action": action, "prediction": grade, "commands": [], "because": {"id": "T-1", "text": ""}}],
}

unsure contains finding.message if {
	some finding in rectify.deny
	finding.rule == "minimum_prediction"
}

test_an_opaque_resource_in_production_is_refused if {
	unsure == {"a/b on web-1 is opaque, but must be conditional at least"} with input as predicting("prod", "update", "opaque")
}

test_what_is_surer_is_not_refused if {
	every grade in ["conditional", "exact"] {
		count(unsure) == 0 with input as predicting("prod", "update", grade)
	}
	count(unsure) == 0 with input as predicting("test", "update", "opaque")
}

test_actions_have_a_minimum_of_their_own if {
	count(unsure) == 0 with input as predicting("prod", "run", "opaque")
	count(unsure) == 1 with input as predicting("prod", "run", "conditional")
		with data.minimum_prediction.environments as {"prod": {"resource": "opaque", "action": "exact"}}
}
