package rectify

allow if regex.match(`((a{1,1000}){1,1000}){1,1000}`, "a")
