package rectify

allow if {
	opening := concat("", [x | some _ in numbers.range(1, 100000); x := "["])
	json.unmarshal(opening) != 1
}
