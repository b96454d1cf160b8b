# Who may log in and become whom is looked at by a person. Some users no plan acts as, and gives
# nothing to.
package rectify

# As in `forbidden_paths`: all paths in one go first, one by one only if there is something to find.
require_approval contains {"rule": "protected_users", "message": message, "count": data.protected_users.approvals} if {
	say_who_may_log_in({concat("", [path, "/"]) | some path in input.changes[_].paths})
	some change in input.changes
	some path in change.paths
	say_who_may_log_in({concat("", [path, "/"])})
	message := sprintf("%s on %s writes %s, which says who may log in or become somebody else", [change.address, change.target, path])
}

deny contains {"rule": "protected_users", "message": message} if {
	count(all_users & {user | some user in data.protected_users.users}) > 0
	some change in input.changes
	some user in acting_users(change)
	user in data.protected_users.users
	message := sprintf("%s on %s acts as %s or gives them a file", [change.address, change.target, user])
}

say_who_may_log_in(paths) if {
	beginnings := {concat("", [path, "/"]) | some path in array.concat(data.protected_users.files, data.protected_users.under)}
	strings.any_prefix_match(paths, beginnings)
}

say_who_may_log_in(paths) if {
	endings := {concat("", ["/", name, "/"]) | some name in data.protected_users.named}
	strings.any_suffix_match(paths, endings)
}

all_users := {change.owner | some change in input.changes} | {user | user := input.changes[_].commands[_].user}

acting_users(change) := {user | user := change.owner} | {user | user := change.commands[_].user}
