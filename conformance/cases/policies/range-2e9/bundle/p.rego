package rectify

allow if count(numbers.range(0, 2000000000)) > 0
