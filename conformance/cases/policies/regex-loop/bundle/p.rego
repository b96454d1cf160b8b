package rectify

allow if {
	some n in numbers.range(1, 1000000)
	regex.match(sprintf("^[a-z]{%d}$", [n % 90]), "0")
}
