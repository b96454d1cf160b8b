# A program that runs as somebody else, or a file that everybody may write, is how one account
# becomes another. Sticky directories such as /tmp are meant to be written by everybody.
package rectify

deny contains {"rule": "dangerous_modes", "message": message} if {
	some change in setting_modes
	raises_rights(change)
	not accepted_mode(change)
	message := sprintf("%s on %s sets mode %s, with which a file of %s runs with the rights of its owner or group", [change.address, change.target, change.mode, object.get(change, "owner", "its present owner")])
}

deny contains {"rule": "dangerous_modes", "message": message} if {
	some change in setting_modes
	digit(change.mode, 1) in {2, 3, 6, 7}
	not digit(change.mode, 4) in {1, 3, 5, 7}
	not accepted_mode(change)
	message := sprintf("%s on %s sets mode %s, with which everybody may write", [change.address, change.target, change.mode])
}

setting_modes := [change | some change in input.changes; change.mode]

# The bit of the user, on whatever it is; that of the group does no harm on a directory.
raises_rights(change) if digit(change.mode, 4) in {4, 5, 6, 7}

raises_rights(change) if {
	digit(change.mode, 4) in {2, 3}
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
