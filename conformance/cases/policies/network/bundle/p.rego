package rectify

allow if {
	response := http.send({"method": "get", "url": "http://127.0.0.1/"})
	response.status_code == 200
}
