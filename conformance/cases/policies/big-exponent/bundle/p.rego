package rectify

allow if floor(to_number("1e1000000000")) > 0
