package rectify

allow if one

one if two

two if not allow
