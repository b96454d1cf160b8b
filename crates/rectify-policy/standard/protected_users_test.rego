package rectify_test

import data.rectify

touching(fields) := {
	"targets": {"web-1": {"environment": "test", "labels": {}}},
	"changes": [object.union({"target": "web-1", "address": "a/b", "type": "file.content", "action": "update", "paths": [], "commands": [], "because": {"id": "T-1", "text": ""}}, fields)],
}

user_demands contains demand.message if {
	some demand in rectify.require_approval
	demand.rule == "protected_users"
}

user_refusals contains finding.message if {
	some finding in rectify.deny
	finding.rule == "protected_users"
}

test_who_may_log_in_is_looked_at if {
	user_demands == {"a/b on web-1 writes /etc/passwd, which says who may log in or become somebody else"} with input as touching({"paths": ["/etc/passwd"]})
	every path in ["/etc/group", "/etc/pam.d/sshd", "/root/.ssh/authorized_keys", "/root/.ssh", "/home/app/.ssh/authorized_keys"] {
		count(user_demands) == 1 with input as touching({"paths": [path]})
	}
}

test_other_files_are_nobodys_login if {
	every path in ["/etc/passwd.d/x", "/etc/pam.digest", "/srv/authorized_keys.md", "/etc/motd"] {
		count(user_demands) == 0 with input as touching({"paths": [path]})
	}
}

test_no_plan_acts_as_a_protected_user if {
	user_refusals == {"a/b on web-1 acts as vault or gives them a file"} with input as touching({"owner": "vault"})
		with data.protected_users.users as ["vault"]
	count(user_refusals) == 1 with input as touching({"commands": [{"when": "run", "argv": ["a"], "environment": {}, "stdin": false, "user": "vault"}]})
		with data.protected_users.users as ["vault"]
	count(user_refusals) == 0 with input as touching({"owner": "app"})
		with data.protected_users.users as ["vault"]
}
