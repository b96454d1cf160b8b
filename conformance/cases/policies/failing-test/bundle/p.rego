package rectify

allow := true
