package rectify

allow if crypto.sha256("x") == "y"
