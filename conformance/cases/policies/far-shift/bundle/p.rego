package rectify

allow if bits.lsh(1, 10000000000) > 0
