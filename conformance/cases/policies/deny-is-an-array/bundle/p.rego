package rectify

allow := true

deny := ["no"]
