package main

test_others { deny["not exempt"] with input as {"changes": [{"remediation": "x", "prediction": "exact"}]} with data.exempt as [] }

test_exempt { count(deny) == 0 with input as {"changes": [{"remediation": "x", "prediction": "exact"}]} with data.exempt as ["x"] }
