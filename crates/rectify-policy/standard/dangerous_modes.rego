# A program that runs as somebody else, or a file that everybody may write, is how one account
# becomes another. Sticky directories such as /tmp are meant to be written by everybody.
package rectify

deny contains {"rule": "dangerous_modes", "message": message} if {
	count(modes_of_owner | modes_of_group) > 0
	some change in input.changes
	raises_rights(change)
	not accepted_mode(change)
	message := sprintf("%s on %s sets mode %s, with which a file of %s runs with the rights of its owner or group", [change.address, change.target, change.mode, object.get(change, "owner", "its present owner")])
}

deny contains {"rule": "dangerous_modes", "message": message} if {
	some change in input.changes
	change.mode in modes_for_everybody
	not accepted_mode(change)
	message := sprintf("%s on %s sets mode %s, with which everybody may write", [change.address, change.target, change.mode])
}

# Ten thousand changes have a handful of modes, so each mode is judged once.
modes := {change.mode | some change in input.changes}

modes_of_owner := {mode | some mode in modes; digit(mode, 4) in {4, 5, 6, 7}}

modes_of_group := {mode | some mode in modes; digit(mode, 4) in {2, 3}}

modes_for_everybody := {mode |
	some mode in modes
	digit(mode, 1) in {2, 3, 6, 7}
	not digit(mode, 4) in {1, 3, 5, 7}
}

# The bit of the user, on whatever it is; that of the group does no harm on a directory.
raises_rights(change) if change.mode in modes_of_owner

raises_rights(change) if {
	change.mode in modes_of_group
	change.type != "file.directory"
}

# Counted from the right: 4 is the one of the special bits. A mode that is no number has all of them.
digit(mode, place) := to_number(substring(concat("", ["0000", mode]), (count(mode) + 4) - place, 1)) if octal(mode)

digit(mode, place) := 7 if {
	place > 0
	not octal(mode)
}

octal(mode) if {
	mode != ""
	trim(mode, "01234567") == ""
}

accepted_mode(change) if {
	some entry in data.modes.accepted
	entry.mode == change.mode
	count(change.paths) > 0
	every path in change.paths {
		path in entry.paths
	}
}
