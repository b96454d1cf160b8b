package rectify

allow if {
