package main

import (
	"os"
	"testing"

	"rectify/provider/providertest"
)

type object = providertest.Object

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func want(t *testing.T, what string, got, expected any) {
	t.Helper()
	if got != expected {
		t.Fatalf("%s: got %q, expected %q", what, got, expected)
	}
}

func TestLinesComeGoAndAreTakenBack(t *testing.T) {
	home := providertest.NewHome(t)
	session := home.Session(providertest.Build(t, "."), "apply")
	// A file with an order of its own, a line twice, and no newline at the end.
	before := "root\nbin\nroot\ndaemon"
	os.WriteFile(home.Path("/etc"), []byte(before), 0o644)
	desired := object{"path": "/etc", "lines": []any{"news", "bin", "apache"}}
	plan := session.Converge("lines.file", desired)
	want(t, "added", content(t, home.Path("/etc")), "root\nbin\nroot\ndaemon\napache\nnews\n")
	session.Undo("lines.file", desired, plan)
	want(t, "undone", content(t, home.Path("/etc")), before)

	absent := object{"path": "/etc", "lines": []any{"root"}, "state": "absent"}
	plan = session.Converge("lines.file", absent)
	want(t, "removed", content(t, home.Path("/etc")), "bin\ndaemon")
	session.Undo("lines.file", absent, plan)
	want(t, "undone", content(t, home.Path("/etc")), before)
}

func TestAFileThatIsMadeIsRemovedByUndo(t *testing.T) {
	home := providertest.NewHome(t)
	session := home.Session(providertest.Build(t, "."), "apply")
	desired := object{"path": "/new", "lines": []any{"a"}}
	plan := session.Converge("lines.file", desired)
	want(t, "made", content(t, home.Path("/new")), "a\n")
	session.Undo("lines.file", desired, plan)
	if _, err := os.Stat(home.Path("/new")); !os.IsNotExist(err) {
		t.Fatal(err)
	}
	gone := session.Plan("lines.file", object{"path": "/new", "lines": []any{"a"}, "state": "absent"})
	if gone["unchanged"] == nil {
		t.Fatal(gone)
	}
}

func TestWhatOthersMayNotReadIsInNoPlan(t *testing.T) {
	home := providertest.NewHome(t)
	session := home.Session(providertest.Build(t, "."), "plan")
	os.WriteFile(home.Path("/shadow"), []byte("root:hash\n"), 0o600)
	_, failed := session.One("resource.plan", object{
		"type": "lines.file", "desired": object{"path": "/shadow", "lines": []any{"a"}}})
	want(t, "code", failed["code"], "UNSUPPORTED")
	_, failed = session.One("resource.validate", object{
		"type": "lines.file", "desired": object{"path": "/a", "lines": []any{"two\nlines"}}})
	want(t, "path", failed["path"], "/lines")
}

func TestANoteIsAppendedOnce(t *testing.T) {
	home := providertest.NewHome(t)
	program := providertest.Build(t, ".")
	op := providertest.Bare("a", "lines.note", "run", object{"path": "/log", "text": "deployed"})
	for i := 0; i < 3; i++ {
		// Each time by another process, as after a crash.
		if _, failed := home.Session(program, "apply").Apply(op); failed != nil {
			t.Fatal(failed)
		}
	}
	want(t, "log", content(t, home.Path("/log")), "deployed\n")
	other := providertest.Bare("b", "lines.note", "run", object{"path": "/log", "text": "deployed"})
	home.Session(program, "apply").Apply(other)
	want(t, "log", content(t, home.Path("/log")), "deployed\ndeployed\n")
}
