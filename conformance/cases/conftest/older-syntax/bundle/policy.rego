package main

# No plan runs a shell.
deny[msg] {
	change := input.changes[_]
	command := change.commands[_]
	shells[command.argv[0]]
	msg := sprintf("%s runs a shell", [change.address])
}

shells := {"sh", "bash", "/bin/sh", "/bin/bash"}
