package main

test_guarded { deny_ssh["a/b is guarded"] with input as {"changes": [{"address": "a/b", "paths": ["/x/y"]}]} with data.guarded as ["/x"] }

test_labels { warn_labels with input as {"changes": [{"address": "a/b", "labels": {"severity": "high"}}]} }
