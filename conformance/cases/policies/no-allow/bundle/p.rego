package rectify

allowed := true
