# How sure a plan must be of what it does. An action that is not sure is asked about by
# `opaque_commands`; a resource that cannot say what it will be is something else.
package rectify

deny contains {"rule": "minimum_prediction", "message": message} if {
	some change in input.changes
	change.prediction != "exact"
	least := least_prediction(change)
	prediction_grades[change.prediction] < prediction_grades[least]
	message := sprintf("%s on %s is %s, but must be %s at least", [change.address, change.target, change.prediction, least])
}

prediction_grades := {"opaque": 0, "conditional": 1, "exact": 2}

least_prediction(change) := least_predictions(change).action if change.action == "run"

least_prediction(change) := least_predictions(change).resource if change.action != "run"

least_predictions(change) := object.get(data.minimum_prediction.environments, environment_of(change.target), data.minimum_prediction.default)
