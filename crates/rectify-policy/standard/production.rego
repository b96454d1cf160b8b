# Changes in production take two people. Author and sealer never count as approvers, so one approval
# is the second of them; `data.production` may ask for more.
package rectify

require_approval contains {"rule": "production", "message": message, "count": people} if {
	touches_production(input.targets)
	some change in input.changes
	environment := input.targets[change.target].environment
	people := data.production[environment]
	message := sprintf("%s is in environment %s", [change.target, environment])
}

# A change without a known target is treated as one in production.
require_approval contains {"rule": "production", "message": message, "count": 1} if {
	some change in input.changes
	not input.targets[change.target]
	message := sprintf("the environment of %s is not known", [change.target])
}

# Asked first: where no target is in production, no change has to be looked at.
touches_production(targets) if {
	some target in targets
	data.production[target.environment]
}

in_production(target) if data.production[input.targets[target].environment]
