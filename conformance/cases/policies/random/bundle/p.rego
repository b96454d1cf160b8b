package rectify

allow if rand.intn("coin", 2) == 0
