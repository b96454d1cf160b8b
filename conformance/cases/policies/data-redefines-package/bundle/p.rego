package rectify

default allow := false
