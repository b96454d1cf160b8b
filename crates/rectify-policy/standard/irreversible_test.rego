package rectify_test

import data.rectify

undoing(grade) := {"changes": [{"target": "web-1", "address": "a/b", "undo": grade, "because": {"id": "T-1", "text": ""}}]}

test_what_cannot_be_taken_back_is_pointed_out if {
	rectify.warn == {{"rule": "irreversible", "message": "a/b on web-1 cannot be taken back"}} with input as undoing("none")
}

test_what_can_be_taken_back_is_not if {
	every grade in ["exact", "lossy"] {
		count(rectify.warn) == 0 with input as undoing(grade)
	}
}
