package rectify

allow := true

deny contains 1 if input.deferred == 0
