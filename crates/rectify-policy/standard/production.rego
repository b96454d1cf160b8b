# Changes in production need an approval.
package rectify

require_approval contains {"rule": "production", "message": message, "count": 1} if {
	some change in input.changes
	environment := input.targets[change.target].environment
	environment in data.production
	message := sprintf("%s is in environment %s", [change.target, environment])
}

# A change without a known target is treated as one in production.
require_approval contains {"rule": "production", "message": message, "count": 1} if {
	some change in input.changes
	not input.targets[change.target]
	message := sprintf("the environment of %s is not known", [change.target])
}
