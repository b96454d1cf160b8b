package rectify

allow if count(numbers.range(0, 20000000)) > 0
