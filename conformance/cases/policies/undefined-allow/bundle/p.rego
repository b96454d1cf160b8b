package rectify

allow if input.deferred > 1000
