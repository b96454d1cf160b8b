package rectify

allow := true if input.deferred == 0

allow := false if input.project == "fleet"
