package rectify

allow := count(deny) == 0

deny contains "x" if {
	some change in input.changes
	change.adress == "a/b"
}
