package main

test_x { deny == "x" with input as {"deferred": 1} }
