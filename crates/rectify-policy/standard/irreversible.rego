# What cannot be taken back is pointed out; in production a person looks at it, and nothing is lost
# for good.
package rectify

warn contains {"rule": "irreversible", "message": message} if {
	some change in input.changes
	change.undo == "none"
	message := sprintf("%s on %s cannot be taken back", [change.address, change.target])
}

require_approval contains {"rule": "irreversible", "message": message, "count": count_of_people} if {
	touches_production(input.targets)
	some change in input.changes
	change.undo != "exact"
	in_production(change.target)
	count_of_people := data.irreversible.approvals_in_production[change.undo]
	message := sprintf("%s on %s changes production, and what undoes it is graded %s", [change.address, change.target, change.undo])
}

deny contains {"rule": "irreversible", "message": message} if {
	some change in deleting
	change.undo == "none"
	in_production(change.target)
	message := sprintf("%s on %s deletes in production and cannot be taken back", [change.address, change.target])
}
