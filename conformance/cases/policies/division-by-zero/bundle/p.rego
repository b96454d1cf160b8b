package rectify

allow if 1 / input.deferred > 0
