package rectify

allow {
	input.deferred == 0
}
