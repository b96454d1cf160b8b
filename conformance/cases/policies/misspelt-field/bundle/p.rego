package rectify

allow := true

deny contains "x" if count(input.chnages) > 0
