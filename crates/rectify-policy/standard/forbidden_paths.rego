# Some places are never written by a plan. A path that is not in plain form could mean any place.
package rectify

deny contains {"rule": "forbidden_paths", "message": message} if {
	some change in input.changes
	some path in change.paths
	is_forbidden(path)
	not path in data.forbidden_paths.except
	message := sprintf("%s on %s writes %s", [change.address, change.target, path])
}

deny contains {"rule": "forbidden_paths", "message": message} if {
	some change in input.changes
	some path in change.paths
	not is_plain(path)
	message := sprintf("%s on %s writes %q, which is not a plain absolute path", [change.address, change.target, path])
}

# Removing a directory removes what is forbidden in it.
deny contains {"rule": "forbidden_paths", "message": message} if {
	some change in input.changes
	change.action in {"delete", "replace"}
	some path in change.paths
	some forbidden in protected
	startswith(forbidden, concat("", [trim_right(path, "/"), "/"]))
	message := sprintf("%s on %s would remove %s with %s", [change.address, change.target, forbidden, path])
}

protected contains path if some path in data.forbidden_paths.under

protected contains path if some path in data.forbidden_paths.beginning_with

is_forbidden(path) if {
	some directory in data.forbidden_paths.under
	startswith(concat("", [path, "/"]), concat("", [directory, "/"]))
}

is_forbidden(path) if {
	some beginning in data.forbidden_paths.beginning_with
	startswith(path, beginning)
}

is_plain(path) if {
	regex.match(`^(/|(/[^/]+)+)$`, path)
	not has_dots(path)
}

has_dots(path) if {
	some part in split(path, "/")
	part in {".", ".."}
}
