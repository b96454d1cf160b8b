package rectify_test

import data.rectify

leaving_out(number) := {"targets": {}, "changes": [], "deferred": number}

test_steps_that_are_not_covered_are_pointed_out if {
	rectify.warn == {{"rule": "deferred_steps", "message": "3 steps are not covered by this plan, because they could not be decided"}} with input as leaving_out(3)
	count(rectify.warn) == 0 with input as leaving_out(0)
}

test_too_many_steps_that_are_not_covered_are_refused if {
	rectify.deny == {{"rule": "deferred_steps", "message": "3 steps are not covered by this plan, but at most 2 are accepted"}} with input as leaving_out(3)
		with data.limits.deferred as 2
	count(rectify.deny) == 0 with input as leaving_out(2)
		with data.limits.deferred as 2
}
