package rectify

allow if not nothing_binds_this > 0
