# What a command without a guard changes cannot be known beforehand, so a person looks at it.
package rectify

require_approval contains {"rule": "opaque_commands", "message": message, "count": 1} if {
	some change in input.changes
	change.action == "run"
	change.prediction == "opaque"
	message := sprintf("%s on %s runs a command whose effect is not known: %s", [change.address, change.target, shown(change)])
}

shown(change) := concat("; ", [executed(command) | some command in change.commands; command.when == "run"]) if count(change.commands) > 0

shown(change) := change.type if count(change.commands) == 0
