package rectify_test

test_a if "a" in data.rectify.deny with input as {"deferred": 1}
