# Removing much at once is mostly a mistake in a selection or a loop.
package rectify

deny contains {"rule": "deletions", "message": message} if {
	number := count(deleting)
	number > data.limits.deletions
	message := sprintf("%d steps delete or replace, but at most %d are accepted in one plan; the first are %s", [number, data.limits.deletions, concat(", ", [sprintf("%s on %s", [change.address, change.target]) | some change in array.slice(deleting, 0, 3)])])
}

deleting := [change | some change in input.changes; change.action in {"delete", "replace"}]
