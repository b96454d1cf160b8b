package rectify

allow if f(1)

f(x) := f(x)
