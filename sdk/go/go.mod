module rectify/provider

go 1.19
