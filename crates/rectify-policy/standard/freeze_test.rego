package rectify_test

import data.rectify

winter := {
	"calendar": "winter.ics",
	"begins_unix_s": 1000, "ends_unix_s": 2000, "summary": "year end",
	"begins": "2026-12-20T00:00:00+01:00", "ends": "2027-01-04T00:00:00+01:00", "zone": "Europe/Berlin",
}

opening := {"unix_s": 2000, "at": "2027-01-04T00:00:00+01:00", "zone": "Europe/Berlin"}

while_frozen(environment, freeze) := {
	"now": {"unix_s": 500},
	"freeze": object.union({"active": [], "problems": []}, freeze),
	"targets": {"web-1": {"environment": environment, "labels": {}}},
	"changes": [{"target": "web-1", "address": "a/b", "because": {"id": "T-1", "text": ""}}],
}

frozen contains finding.message if {
	some finding in rectify.deny
	finding.rule == "freeze"
}

coming contains finding.message if {
	some finding in rectify.warn
	finding.rule == "freeze"
}

test_nothing_is_changed_in_a_window if {
	frozen == {"winter.ics: test is frozen until 2027-01-04T00:00:00+01:00 (year end); the next opening is 2027-01-04T00:00:00+01:00, Europe/Berlin"} with input as while_frozen("test", {"active": [winter], "opens": opening})
	count(frozen) == 0 with input as while_frozen("test", {})
}

test_a_window_without_end_in_sight_says_so if {
	frozen == {"winter.ics: test is frozen until 2027-01-04T00:00:00+01:00 (without a name); no opening within 400 days"} with input as while_frozen("test", {"active": [object.union(winter, {"summary": ""})]})
}

test_a_calendar_that_cannot_be_read_is_closed if {
	frozen == {"test is frozen because a calendar cannot be read: winter.ics:3: no `FREQ`"} with input as while_frozen("test", {"problems": [{"calendar": "winter.ics", "place": "winter.ics:3", "message": "no `FREQ`"}]})
}

test_exempt_environments_are_not_frozen if {
	count(frozen) == 0 with input as while_frozen("test", {"active": [winter]})
		with data.freeze.exempt as ["test"]
	count(frozen) == 1 with input as while_frozen("prod", {"active": [winter]})
		with data.freeze.exempt as ["test"]
}

test_a_calendar_may_be_one_of_some_environments if {
	count(frozen) == 0 with input as while_frozen("test", {"active": [winter]})
		with data.freeze.environments as {"winter.ics": ["prod"]}
	count(frozen) == 1 with input as while_frozen("prod", {"active": [winter]})
		with data.freeze.environments as {"winter.ics": ["prod"]}
}

test_a_window_that_comes_soon_is_pointed_out if {
	coming == {"winter.ics: test will be frozen from 2026-12-20T00:00:00+01:00 (year end)"} with input as while_frozen("test", {"next": winter})
	count(coming) == 0 with input as while_frozen("test", {"next": winter}) with data.freeze.warn_s as 499
}

test_without_calendars_nothing_is_frozen if {
	count(frozen) == 0 with input as object.remove(while_frozen("test", {}), ["freeze"])
}
