package rectify

allow if count(sprintf("%01000000000d", [1])) > 0
