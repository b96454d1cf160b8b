# What cannot be known at plan time is not in the plan, is not approved, and is not done.
package rectify

warn contains {"rule": "deferred_steps", "message": message} if {
	input.deferred > 0
	message := sprintf("%d steps are not covered by this plan, because they could not be decided", [input.deferred])
}

deny contains {"rule": "deferred_steps", "message": message} if {
	input.deferred > data.limits.deferred
	message := sprintf("%d steps are not covered by this plan, but at most %d are accepted", [input.deferred, data.limits.deferred])
}
