# What cannot be taken back is pointed out.
package rectify

warn contains {"rule": "irreversible", "message": message} if {
	some change in input.changes
	change.undo == "none"
	message := sprintf("%s on %s cannot be taken back", [change.address, change.target])
}
