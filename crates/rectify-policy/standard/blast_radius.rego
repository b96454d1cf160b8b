# A plan changes so many targets of an environment, and so large a part of all that there are. What
# the inventory knows counts, so selecting fewer targets makes the part smaller and never larger.
package rectify

deny contains {"rule": "blast_radius", "message": message} if {
	some environment, number in touched
	number > radius(environment).targets
	message := sprintf("%d targets change in environment %s, but at most %d are accepted in one plan", [number, environment, radius(environment).targets])
}

deny contains {"rule": "blast_radius", "message": message} if {
	some environment, number in touched
	all := known_targets(environment)
	all >= radius(environment).share_from
	number * 100 > all * radius(environment).share_percent
	message := sprintf("%d of %d targets change in environment %s, but at most %d percent are accepted in one plan", [number, all, environment, radius(environment).share_percent])
}

changed_targets := {change.target | some change in input.changes}

touched := {environment: number |
	some environment in {environment_of(target) | some target in changed_targets}
	number := count([1 | some target in changed_targets; environment_of(target) == environment])
}

environment_of(target) := object.get(input.targets, [target, "environment"], "unknown")

radius(environment) := object.get(data.blast_radius.environments, environment, data.blast_radius.default)

# An inventory that lacks targets of the plan is behind it.
known_targets(environment) := max([object.get(input, ["fleet", environment], 0), in_plan(environment)])

in_plan(environment) := count([1 | some name, _ in input.targets; environment_of(name) == environment])
