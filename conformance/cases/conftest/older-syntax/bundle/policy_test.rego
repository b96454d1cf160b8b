package main

test_shells_are_refused {
	deny["a/b runs a shell"] with input as {"changes": [{"address": "a/b", "commands": [{"argv": ["sh", "-c", "true"]}]}]}
}

test_other_programs_are_not {
	count(deny) == 0 with input as {"changes": [{"address": "a/b", "commands": [{"argv": ["true"]}]}]}
}
