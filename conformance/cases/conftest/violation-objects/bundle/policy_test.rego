package main

test_updates_are_violations {
	count(violation) == 1 with input as {
		"targets": {"web-1": {"environment": "test", "labels": {}}},
		"changes": [{"address": "a/b", "target": "web-1", "action": "update"}],
	}
}
