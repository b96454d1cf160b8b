package rectify

allow if time.now_ns() > 0
