# Some places are never written by a plan. A path that is not in plain form could mean any place.
#
# A plan may hold ten thousand paths, so all of them are first looked at in one go; one by one only
# if there is something to find. Regular expressions would be compiled anew for each path.
package rectify

deny contains {"rule": "forbidden_paths", "message": message} if {
	strings.any_prefix_match(all_paths, forbidden_beginnings)
	some change in input.changes
	some path in change.paths
	strings.any_prefix_match(concat("", [path, "/"]), forbidden_beginnings)
	not path in data.forbidden_paths.except
	message := sprintf("%s on %s writes %s", [change.address, change.target, path])
}

deny contains {"rule": "forbidden_paths", "message": message} if {
	count(odd_paths) > 0
	some change in input.changes
	some path in change.paths
	path in odd_paths
	message := sprintf("%s on %s writes %q, which is not a plain absolute path", [change.address, change.target, path])
}

# Removing a directory removes what is forbidden in it.
deny contains {"rule": "forbidden_paths", "message": message} if {
	some change in input.changes
	change.action in {"delete", "replace"}
	some path in change.paths
	some forbidden in forbidden_paths
	startswith(forbidden, concat("", [trim_right(path, "/"), "/"]))
	message := sprintf("%s on %s would remove %s with %s", [change.address, change.target, forbidden, path])
}

forbidden_paths contains path if some path in data.forbidden_paths.under

forbidden_paths contains path if some path in data.forbidden_paths.beginning_with

forbidden_beginnings contains concat("", [path, "/"]) if some path in data.forbidden_paths.under

forbidden_beginnings contains path if some path in data.forbidden_paths.beginning_with

# With a slash at the end, so that a directory has the same beginning as what is in it.
all_paths := {concat("", [path, "/"]) | some path in input.changes[_].paths}

odd_paths contains path if {
	some path in input.changes[_].paths
	not startswith(path, "/")
}

odd_paths contains path if {
	some odd in ["//", "/./", "/../", "\n"]
	contains(concat(" ", all_paths), odd)
	some path in input.changes[_].paths
	path != "/"
	contains(concat("", [path, "/"]), odd)
}
