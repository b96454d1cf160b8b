package rectify

allow := "true"
