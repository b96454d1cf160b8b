package main

import rego.v1

writing := {"address": "a/b", "paths": ["/etc/ssh/sshd_config"]}

test_a_reason_is_wanted if {
	deny == {"a/b writes /etc/ssh/sshd_config without a reason"} with input as {"changes": [writing]}
}

test_a_reason_is_enough if {
	count(deny) == 0 with input as {"changes": [object.union(writing, {"because": {"id": "T-1", "text": ""}})]}
}

test_ssh_is_pointed_out if count(warn) == 1 with input as {"changes": [writing]}
