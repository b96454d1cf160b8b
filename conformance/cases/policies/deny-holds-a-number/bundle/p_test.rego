package rectify_test

test_deny if count(data.rectify.deny) == 1 with input as {"deferred": 0}
