package main

deny[msg] {
	config := parse_config("yaml", "a: 1")
	msg := config.a
}
