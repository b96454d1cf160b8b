package rectify

allow if count(input.changes) < data.limits.changes_total
