package rectify_test

test_allow if not data.rectify.allow
