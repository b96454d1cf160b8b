// Package rectify is what a Rectify provider in Go is written with: describe a
// thing by a struct, say how it is read and changed, and call [Serve] from main.
//
//	type Motd struct {
//		Path string `json:"path" rectify:"identity,touch=path" pattern:"^/"`
//		Text string `json:"text" doc:"What the file says."`
//	}
//
//	type provider struct{}
//
//	func (provider) Read(cx *rectify.Cx, id Motd) (*Motd, error) { … }
//
//	func (provider) Apply(cx *rectify.Cx, s *rectify.Step[Motd]) (rectify.Applied[Motd], error) {
//		return s.Write(func(found, want *Motd) error { … })
//	}
//
//	func main() {
//		rectify.Serve("acme", "0.1.0", rectify.Type[Motd]("acme.motd", 1, provider{}))
//	}
//
// The SDK speaks the protocol, so that a provider never sees a frame: it answers
// pings and cancels while work is going on, refuses what the session's mode does
// not allow, checks properties by their schema, plans, compares what is found with
// what the plan expects, turns a panic into an honest error, keeps the ledger that
// makes an action run at most once, and keeps stray prints away from the
// protocol's stream. It needs Linux, and nothing but the standard library.
package rectify
