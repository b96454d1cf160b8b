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
//
// A provider has resources ([Type]), which are brought into a state; actions ([Do]),
// which are done at most once; and questions ([Ask]).
//
// # Tags
//
// The tag `json` has the name; `omitempty`, a pointer, or the tag `default` make a
// property optional. The tag `rectify` says what the property is for:
//
//	identity     names the thing; a text. It is what Read is given.
//	touch=KIND   its value is the name of a thing of this kind that a step touches
//	read, write  how (an identity: write; another property: read)
//	set          a list of texts without order and repetition
//	computed     in the state only, for display: no property, and part of no fingerprint
//	planned      in the state only: no property; a Planner says what it will be
//	volatile     part of no fingerprint
//	input        a property only: not part of the state
//	ensure       `present` or `absent`; not part of the state
//
// The tags `doc`, `default`, `enum` (a,b,c), `pattern`, `min` and `max` go into the
// schema; the last two are about numbers, lengths of texts, or lengths of lists.
package rectify
