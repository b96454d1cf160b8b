package main

import rego.v1

deny contains msg if {
	some change in input.changes
	some path in change.paths
	startswith(path, "/etc/ssh/")
	not change.because
	msg := sprintf("%s writes %s without a reason", [change.address, path])
}

warn contains msg if {
	some change in input.changes
	startswith(change.paths[0], "/etc/ssh/")
	msg := sprintf("%s is about ssh", [change.address])
}
