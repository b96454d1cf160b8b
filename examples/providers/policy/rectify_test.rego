package rectify_test

import data.rectify

verdict := {"tester": "reviewer", "failed": 0, "passed": 68}

denied(verdicts) if count(rectify.deny) == 1 with input as {"providers": {"acme": {"verdicts": verdicts}}}

test_denied if {
	denied([])
	denied([object.union(verdict, {"tester": "acme"})])
	denied([object.union(verdict, {"failed": 1})])
	denied([object.union(verdict, {"passed": 0})])
	count(rectify.deny) == 1 with input as {"providers": {"acme": {}}}
}

test_allowed if {
	rectify.allow with input as {"providers": {"acme": {"verdicts": [verdict]}}}
	rectify.allow with input as {"changes": []}
}
