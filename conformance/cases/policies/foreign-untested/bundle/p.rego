package main

warn_x[msg] {
	input.deferred > 0
	msg := "x"
}
