package main

test_x { deny["1"] with input as {"changes": []} }
