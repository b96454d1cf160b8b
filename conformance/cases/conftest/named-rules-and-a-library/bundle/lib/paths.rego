package lib.paths

below(path, directory) if startswith(path, concat("", [directory, "/"]))
