# What interrupts a service is looked at, and happens when it may.
package rectify

require_approval contains {"rule": "disruption", "message": message, "count": approvals} if {
	some change in input.changes
	some kind in change.disruption
	approvals := disruption_approvals(change)[kind]
	message := sprintf("%s on %s causes a %s", [change.address, change.target, kind])
}

deny contains {"rule": "disruption", "message": message} if {
	count(data.disruption.hours) > 0
	some change in input.changes
	some kind in change.disruption
	in_production(change.target)
	hours := data.disruption.hours[kind]
	not within_hours(hours)
	message := sprintf("%s on %s causes a %s outside of %d to %d o'clock on %s (%s)", [change.address, change.target, kind, hours.from, hours.to, concat(", ", hours.weekdays), hours.zone])
}

disruption_approvals(change) := data.disruption.approvals_in_production if in_production(change.target)

disruption_approvals(change) := data.disruption.approvals if not in_production(change.target)

# Undefined, and so outside, where the zone is not among `data.zones`.
within_hours(hours) if {
	clock := input.now.zones[hours.zone]
	clock.weekday in hours.weekdays
	clock.hour >= hours.from
	clock.hour < hours.to
}
