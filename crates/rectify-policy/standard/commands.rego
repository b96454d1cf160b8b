# Whatever is executed is looked at by a person, unless it is listed: word by word, by whom, in which
# directory and with which environment. A guard that makes a command's effect better known does not
# make the command a better one.
package rectify

require_approval contains {"rule": "commands", "message": message, "count": 1} if {
	some change in input.changes
	some command in change.commands
	not listed(command)
	message := sprintf("%s on %s executes %s (%s)", [change.address, change.target, executed(command), command.when])
}

require_approval contains {"rule": "commands", "message": message, "count": 1} if {
	some gate in input.gates
	some command in gate.commands
	not listed(command)
	message := sprintf("%s on %s executes %s (%s)", [gate.address, gate.target, executed(command), command.when])
}

require_approval contains {"rule": "commands", "message": message, "count": 1} if {
	some change in input.changes
	change.action == "run"
	count(change.commands) == 0
	message := sprintf("%s on %s is an action of type %s that does not say what it executes", [change.address, change.target, change.type])
}

# Well-known programs that only judge a file, whose place is `%s`.
listed(command) if {
	command.when == "validate"
	command.argv in data.commands.checkers
}

# What it is given to read is not known here, so a command with it is never as listed.
listed(command) if {
	not command.stdin
	some entry in data.commands.allowed
	object.union({"environment": {}, "stdin": false}, entry) == object.remove(command, ["when"])
}

executed(command) := concat("", [words(command), by(command)])

words(command) := json.marshal(command.argv) if command.argv

words(command) := sprintf("a script of %d characters that begins with %q", [count(command.script), substring(command.script, 0, 60)]) if command.script

# Never undefined: a rule whose message is undefined would not fire.
words(command) := "something unknown" if {
	not command.argv
	not command.script
}

by(command) := concat("", [" as ", command.user]) if command.user

by(command) := "" if not command.user
