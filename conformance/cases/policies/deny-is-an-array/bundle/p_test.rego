package rectify_test

test_deny if data.rectify.deny == ["no"]
