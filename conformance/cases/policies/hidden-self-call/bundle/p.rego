package rectify

allow if f(1)

f(x) := y if {
	f := 1
	y := f(x)
}
