# How often a target may be changed, by the journal of the machine that applies. What a planner's
# machine knows is advice; the executor counts its own runs.
package rectify

deny contains {"rule": "change_rate", "message": message} if {
	some target in changed_targets
	some window in ["hour", "day", "week"]
	most := rate(target)[window]
	number := object.get(input, ["history", "targets", target, window], 0)
	number >= most
	message := sprintf("%s was changed by %d runs within the last %s, and at most %d are accepted", [target, number, window, most])
}

deny contains {"rule": "change_rate", "message": message} if {
	count(input.changes) > 0
	input.history.complete == false
	message := "there were more runs lately than are counted"
}

rate(target) := object.get(data.change_rate.environments, environment_of(target), data.change_rate.default)
