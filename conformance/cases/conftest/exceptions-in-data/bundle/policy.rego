package main

exempt(change) = true {
	change.remediation == data.exempt[_]
}

deny[msg] {
	change := input.changes[_]
	change.prediction != "opaque"
	not exempt(change)
	msg := "not exempt"
}
