package main

deny[msg] {
	input.deferred > 0
	msg := "x"
}
