package main

violation[{"msg": msg, "details": {"address": change.address}}] {
	change := input.changes[_]
	change.action == "update"
	environment := input.targets[change.target].environment
	environment == "test"
	msg := sprintf("%v updates %v", [change.address, change.target])
}
