module go-lines

go 1.19

require rectify/provider v0.0.0

replace rectify/provider => ../../../sdk/go
