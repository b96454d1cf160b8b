package rectify

allow if {
	n := numbers.range(1, 2000)
	some a in n
	some b in n
	some c in n
	a + b + c == 0
}
