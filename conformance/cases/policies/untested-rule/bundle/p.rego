package rectify

allow := true

deny contains "a" if input.deferred > 0

deny contains "b" if input.deferred > 1
