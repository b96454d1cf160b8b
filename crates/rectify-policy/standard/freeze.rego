# When nothing is changed, by the calendars (*.ics) beside these rules. A calendar that cannot be read
# counts as one that says so.
package rectify

deny contains {"rule": "freeze", "message": message} if {
	some window in input.freeze.active
	names := frozen_environments(window.calendar)
	count(names) > 0
	message := sprintf("%s: %s is frozen until %s (%s); %s", [window.calendar, concat(", ", names), window.ends, called(window), next_opening])
}

deny contains {"rule": "freeze", "message": message} if {
	some problem in input.freeze.problems
	names := frozen_environments(problem.calendar)
	count(names) > 0
	message := sprintf("%s is frozen because a calendar cannot be read: %s: %s", [concat(", ", names), problem.place, problem.message])
}

warn contains {"rule": "freeze", "message": message} if {
	window := input.freeze.next
	window.begins_unix_s - input.now.unix_s <= data.freeze.warn_s
	names := frozen_environments(window.calendar)
	count(names) > 0
	message := sprintf("%s: %s will be frozen from %s (%s)", [window.calendar, concat(", ", names), window.begins, called(window)])
}

# Sorted. A calendar that `data.freeze.environments` does not name is one for all.
frozen_environments(calendar) := sort({environment |
	some target in changed_targets
	environment := environment_of(target)
	not environment in data.freeze.exempt
	environment in object.get(data.freeze.environments, calendar, [environment])
})

called(window) := window.summary if window.summary != ""

called(window) := "without a name" if window.summary == ""

default next_opening := "no opening within 400 days"

next_opening := sprintf("the next opening is %s, %s", [input.freeze.opens.at, input.freeze.opens.zone])
