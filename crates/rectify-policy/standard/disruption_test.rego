package rectify_test

import data.rectify

interrupting(environment, kind, clock) := {
	"now": {"zones": {"UTC": clock}},
	"targets": {"web-1": {"environment": environment, "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "type": "file.content", "action": "update", "disruption": [kind], "paths": [], "commands": [], "because": {"id": "T-1", "text": ""}}],
}

asked_for_disruption contains [demand.message, demand.count] if {
	some demand in rectify.require_approval
	demand.rule == "disruption"
}

outside contains finding.message if {
	some finding in rectify.deny
	finding.rule == "disruption"
}

sunday_at(hour) := {"weekday": "sunday", "hour": hour}

test_interruptions_are_looked_at if {
	asked_for_disruption == {["a/b on web-1 causes a reboot", 1]} with input as interrupting("test", "reboot", sunday_at(3))
	asked_for_disruption == {["a/b on web-1 causes a restart", 1]} with input as interrupting("prod", "restart", sunday_at(3))
	count(asked_for_disruption) == 0 with input as interrupting("test", "restart", sunday_at(3))
	count(asked_for_disruption) == 0 with input as interrupting("prod", "reload", sunday_at(3))
}

night := {"reboot": {"zone": "UTC", "weekdays": ["sunday"], "from": 2, "to": 5}}

test_interruptions_have_their_hours if {
	count(outside) == 0 with input as interrupting("prod", "reboot", sunday_at(2)) with data.disruption.hours as night
	outside == {"a/b on web-1 causes a reboot outside of 2 to 5 o'clock on sunday (UTC)"} with input as interrupting("prod", "reboot", sunday_at(5)) with data.disruption.hours as night
	count(outside) == 1 with input as interrupting("prod", "reboot", {"weekday": "monday", "hour": 3}) with data.disruption.hours as night
	count(outside) == 0 with input as interrupting("test", "reboot", sunday_at(9)) with data.disruption.hours as night
	count(outside) == 0 with input as interrupting("prod", "restart", sunday_at(9)) with data.disruption.hours as night
}

test_a_zone_that_is_not_there_is_outside if {
	count(outside) == 1 with input as interrupting("prod", "reboot", sunday_at(3))
		with data.disruption.hours as {"reboot": {"zone": "Europe/Berlin", "weekdays": ["sunday"], "from": 2, "to": 5}}
}
