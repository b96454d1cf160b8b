# More changes than anyone reads are refused: a smaller selection makes a smaller plan.
package rectify

deny contains {"rule": "too_many_changes", "message": message} if {
	total := count(input.changes)
	total > data.limits.changes_total
	message := sprintf("%d changes, but at most %d are accepted in one plan", [total, data.limits.changes_total])
}

deny contains {"rule": "too_many_changes", "message": message} if {
	some target in crowded
	number := count([1 | some change in input.changes; change.target == target])
	message := sprintf("%d changes on %s, but at most %d are accepted on one target", [number, target, data.limits.changes_per_target])
}

# In sorted order a target with more changes than the limit meets itself that many places later.
# Counting for each target instead would take targets times changes.
crowded contains target if {
	names := sort([change.target | some change in input.changes])
	some index, target in names
	names[index + data.limits.changes_per_target] == target
}
