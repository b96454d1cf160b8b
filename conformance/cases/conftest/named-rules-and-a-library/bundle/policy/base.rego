package main

import data.lib.paths
import future.keywords.in

deny_ssh[msg] {
	some change in input.changes
	paths.below(change.paths[_], data.guarded[_])
	msg := sprintf("%s is guarded", [change.address])
}

warn_labels[msg] {
	change := input.changes[_]
	not change.labels.severity == "low"
	msg := "severity is not low"
}
