package rectify

allow := true

denny contains "x" if input.deferred > 0
