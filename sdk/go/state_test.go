package rectify_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	rectify "rectify/provider"
	"rectify/provider/providertest"
)

func runs(h *providertest.Home) int {
	content, _ := os.ReadFile(h.Path("/out"))
	return strings.Count(string(content), "\n")
}

func strike(name string, more object) object {
	return providertest.Bare(name, "test.strike", "run", providertest.With(object{"path": "/out"}, more))
}

func codes(failed object) []any { return []any{failed["code"], failed["mutated"]} }

func TestARedeliveryGetsTheStoredResultFromAnyProcess(t *testing.T) {
	h := providertest.NewHome(t)
	op := strike("a", nil)
	id := op["op_id"].(string)
	first := h.Session(program, "apply")
	want(t, "status", first.Status(id), "never_seen")
	applied, failed := first.Apply(op)
	want(t, "applied", applied, object{"status": "applied", "state": object{}})
	want(t, "failed", failed, object(nil))
	again, _ := first.Apply(op)
	want(t, "again", again, applied)
	second := h.Session(program, "apply")
	again, _ = second.Apply(op)
	want(t, "elsewhere", again, applied)
	want(t, "done", h.Session(program, "read").Status(id), object{"done": object{"ok": applied}})
	want(t, "runs", runs(h), 1)
	for _, kind := range []string{".claim", ".done"} {
		info, err := os.Stat(filepath.Join(h.State, id+kind))
		if err != nil || info.Mode() != 0o600 {
			t.Fatal(info, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(h.State, ".tmp-*"))
	want(t, "left over", len(left), 0)
}

func TestAKilledActionIsUnknownAndNeverRunsAgain(t *testing.T) {
	h := providertest.NewHome(t)
	op := strike("killed", object{"do": []any{"wait-60s"}})
	id := op["op_id"].(string)
	victim := h.Session(program, "apply")
	victim.Send("resource.apply", op)
	want(t, "progress", victim.Receive()["method"], "$/progress")
	want(t, "status", victim.Status(id), "started")
	_, failed := h.Session(program, "apply").Apply(op)
	want(t, "meanwhile", codes(failed), []any{"BUSY", "no"})
	victim.Kill()
	fresh := h.Session(program, "apply")
	want(t, "status", fresh.Status(id), "started")
	for i := 0; i < 2; i++ {
		_, failed := fresh.Apply(op)
		want(t, "afterwards", codes(failed), []any{"UNKNOWN_OUTCOME", "maybe"})
	}
	want(t, "runs", runs(h), 1)
}

func TestOtherParametersUnderTheSameIDAreRefused(t *testing.T) {
	h := providertest.NewHome(t)
	op := strike("a", nil)
	s := h.Session(program, "apply")
	s.Apply(op)
	_, failed := s.Apply(strike("a", object{"do": []any{"fail"}}))
	want(t, "other", codes(failed), []any{"OP_MISMATCH", "no"})
	// A retry may have another deadline and a later fence.
	_, failed = s.Apply(providertest.With(op, object{"deadline_ms": 500, "fence": 7}))
	want(t, "retry", failed, object(nil))
	want(t, "runs", runs(h), 1)
}

func TestAFailureStandsUnlessNothingWasDone(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	for i := 0; i < 2; i++ {
		_, failed := s.Apply(strike("a", object{"do": []any{"fail"}}))
		want(t, "fails", codes(failed), []any{"FAILED", "maybe"})
	}
	want(t, "runs", runs(h), 1)
	os.WriteFile(h.Path("/obstacle"), nil, 0o600)
	refused := strike("b", object{"refuse_if": "/obstacle"})
	_, failed := s.Apply(refused)
	want(t, "refused", codes(failed), []any{"FAILED", "no"})
	if _, done := s.Status(refused["op_id"].(string)).(object); !done {
		t.Fatal("the refusal is not kept")
	}
	os.Remove(h.Path("/obstacle"))
	for i := 0; i < 2; i++ {
		_, failed = s.Apply(refused)
		want(t, "then", failed, object(nil))
	}
	want(t, "runs", runs(h), 2)
}

func TestAResultWithoutAClaimStands(t *testing.T) {
	h := providertest.NewHome(t)
	op := strike("a", nil)
	h.Session(program, "apply").Apply(op)
	os.Remove(filepath.Join(h.State, op["op_id"].(string)+".claim"))
	_, failed := h.Session(program, "apply").Apply(op)
	want(t, "failed", failed, object(nil))
	want(t, "runs", runs(h), 1)
}

func TestADamagedLedgerIsUnknown(t *testing.T) {
	h := providertest.NewHome(t)
	op := strike("a", nil)
	h.Session(program, "apply").Apply(op)
	path := filepath.Join(h.State, op["op_id"].(string))
	os.WriteFile(path+".done", []byte(`{"ok":{"status":"applied"`), 0o600)
	_, failed := h.Session(program, "apply").Apply(op)
	want(t, "done", codes(failed), []any{"UNKNOWN_OUTCOME", "maybe"})
	os.Remove(path + ".done")
	claim, _ := os.ReadFile(path + ".claim")
	later := strings.Replace(string(claim), `"fence"`, `"later":1,"fence"`, 1)
	os.WriteFile(path+".claim", []byte(later), 0o600)
	_, failed = h.Session(program, "apply").Apply(op)
	want(t, "claim", codes(failed), []any{"UNKNOWN_OUTCOME", "maybe"})
	want(t, "runs", runs(h), 1)
}

func TestALowerFenceIsRefused(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	_, failed := s.Apply(providertest.With(strike("a", nil), object{"fence": 5}))
	want(t, "5", failed, object(nil))
	_, failed = h.Session(program, "apply").Apply(providertest.With(strike("b", nil), object{"fence": 4}))
	want(t, "4", codes(failed), []any{"CONFLICT", "no"})
	content, _ := os.ReadFile(filepath.Join(h.State, "fence"))
	want(t, "fence", string(content), "5\n")
	os.WriteFile(filepath.Join(h.State, "fence"), []byte("x"), 0o600)
	_, failed = s.Apply(providertest.With(strike("c", nil), object{"fence": 5}))
	want(t, "damaged", codes(failed), []any{"FAILED", "no"})
	want(t, "runs", runs(h), 1)
}

func TestAHigherFenceWaitsForWhatIsBeingDone(t *testing.T) {
	h := providertest.NewHome(t)
	slow := h.Session(program, "apply")
	id := slow.Send("resource.apply", strike("slow", object{"do": []any{"deaf-400ms"}}))
	want(t, "progress", slow.Receive()["method"], "$/progress")
	other := h.Session(program, "apply")
	_, failed := other.Apply(providertest.With(strike("next", nil), object{"fence": 2}))
	want(t, "next", failed, object(nil))
	// It was waited for, so its answer is there already.
	if slow.Answer(id)["result"].(object)["ok"] == nil {
		t.Fatal("the slow one failed")
	}
	if _, err := os.Stat(filepath.Join(h.State, "acting-1")); err == nil {
		t.Fatal("the lower lock is still there")
	}
	stuck := h.Session(program, "apply")
	stuck.Send("resource.apply", providertest.With(strike("stuck", object{"do": []any{"wait-20s"}}), object{"fence": 2}))
	want(t, "progress", stuck.Receive()["method"], "$/progress")
	_, failed = other.Apply(providertest.With(strike("hasty", nil), object{"fence": 3, "deadline_ms": 200}))
	want(t, "hasty", codes(failed), []any{"BUSY", "no"})
}

func changedOf(t *testing.T, plan object) (any, any) {
	t.Helper()
	changed, ok := plan["changed"].(object)
	if !ok {
		t.Fatalf("expected a change: %v", plan)
	}
	return changed["prior"], changed["planned"]
}

// carryOut plans a step, applies the plan, and plans again.
func carryOut(t *testing.T, s *providertest.Session, name, action string, desired object) object {
	t.Helper()
	prior, planned := changedOf(t, s.Plan("test.note", desired))
	applied, failed := s.Apply(providertest.Operation(t, name, "test.note", action, desired, prior, planned, "/size"))
	if failed != nil {
		t.Fatal(failed)
	}
	want(t, "status", applied["status"], "applied")
	after, _ := rectify.Fingerprint("test.note", 1, applied["state"], "/size")
	promised, _ := rectify.Fingerprint("test.note", 1, planned, "/size")
	want(t, "what came of it", after, promised)
	if again := s.Plan("test.note", desired); again["unchanged"] == nil {
		t.Fatalf("the second plan changes something: %v", again)
	}
	return applied
}

func TestAResourceIsPlannedChangedAndTakenBack(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	carryOut(t, s, "create", "create", note("/a", object{"text": "one", "labels": []any{"b", "a", "b"}, "level": 3}))
	first := s.Read("test.note", object{"path": "/a"}).(object)
	want(t, "labels", first["labels"], []any{"a", "b"})
	// What is left out stays.
	carryOut(t, s, "update", "update", note("/a", object{"text": "two"}))
	second := s.Read("test.note", object{"path": "/a"}).(object)
	want(t, "kept", []any{second["labels"], second["level"], second["text"]}, []any{[]any{"a", "b"}, 3.0, "two"})
	// In another order it is the same.
	if plan := s.Plan("test.note", note("/a", object{"text": "two", "labels": []any{"b", "a"}})); plan["unchanged"] == nil {
		t.Fatal(plan)
	}
	restore := object{"path": "/a", "$restore": object{"state": first}}
	carryOut(t, s, "back", "update", restore)
	want(t, "restored", s.Read("test.note", object{"path": "/a"}), first)
	carryOut(t, s, "delete", "delete", object{"path": "/a", "ensure": "absent"})
	want(t, "deleted", s.Read("test.note", object{"path": "/a"}), nil)
	carryOut(t, s, "undelete", "create", restore)
	carryOut(t, s, "uncreate", "delete", object{"path": "/a", "$restore": object{}})
	want(t, "gone", s.Read("test.note", object{"path": "/a"}), nil)
	_, failed := s.One("resource.plan", object{"type": "test.note", "desired": object{
		"path": "/b", "$restore": object{"state": object{"path": "/a", "text": "x"}}}})
	want(t, "the state of something else", failed["code"], "SCHEMA")
}

func TestNothingIsWrittenOnAnUnexpectedState(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	desired := note("/a", object{"text": "one"})
	state := object{"path": "/a", "text": "one"}
	create := providertest.Operation(t, "a", "test.note", "create", desired, nil, state, "/size")
	os.WriteFile(h.Path("/a"), []byte(`{"text":"by hand"}`), 0o600)
	_, failed := s.Apply(create)
	want(t, "stale", codes(failed), []any{"STALE", "no"})
	os.WriteFile(h.Path("/a"), []byte(`{"text":"one"}`), 0o600)
	before, _ := os.Stat(h.Path("/a"))
	applied, _ := s.Apply(create)
	want(t, "already", applied["status"], "already")
	after, _ := os.Stat(h.Path("/a"))
	want(t, "untouched", os.SameFile(before, after) && before.ModTime() == after.ModTime(), true)
	os.Remove(h.Path("/a"))
	// What would be written is not what was signed.
	other := providertest.Operation(t, "b", "test.note", "create", desired, nil, object{"path": "/a", "text": "two"}, "/size")
	_, failed = s.Apply(other)
	want(t, "other result", codes(failed), []any{"STALE", "no"})
	if _, err := os.Stat(h.Path("/a")); err == nil {
		t.Fatal("it was written")
	}
}

func TestAFailureSaysWhatItChanged(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	for word, mutated := range map[string]string{"fail": "maybe", "then-fail": "yes", "lie": "no", "then-lie": "yes"} {
		path := "/by-" + word
		desired := note(path, object{"text": "x", "do": []any{word}})
		op := providertest.Operation(t, word, "test.note", "create", desired, nil, object{"path": path, "text": "x"}, "/size")
		_, failed := s.Apply(op)
		want(t, word, codes(failed), []any{"FAILED", mutated})
	}
	// A resource that converges is looked at again: no ledger stands in its way.
	op := providertest.Operation(t, "again", "test.note", "create", note("/c", object{"text": "x"}), nil,
		object{"path": "/c", "text": "x"}, "/size")
	s.Apply(op)
	want(t, "status", s.Status(op["op_id"].(string)), "never_seen")
	applied, _ := s.Apply(op)
	want(t, "redelivered", applied["status"], "already")
}

func TestAKilledResourceIsLookedAtAgain(t *testing.T) {
	h := providertest.NewHome(t)
	victim := h.Session(program, "apply")
	desired := note("/a", object{"text": "x", "do": []any{"then-wait-60s"}})
	op := providertest.Operation(t, "a", "test.note", "create", desired, nil, object{"path": "/a", "text": "x"}, "/size")
	victim.Send("resource.apply", op)
	want(t, "progress", victim.Receive()["method"], "$/progress")
	for {
		if _, err := os.Stat(h.Path("/a")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	victim.Kill()
	applied, failed := h.Session(program, "apply").Apply(op)
	want(t, "failed", failed, object(nil))
	want(t, "status", applied["status"], "already")
}

func TestAPlanMayStandOnAnEarlierStep(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "plan")
	state := object{"path": "/a", "text": "one", "level": 1.0}
	answer, _ := s.One("resource.plan", object{"type": "test.note", "desired": note("/a", object{"text": "two"}), "prior": object{"state": state}})
	prior, planned := changedOf(t, answer)
	want(t, "prior", prior, state)
	want(t, "planned", planned, object{"path": "/a", "text": "two", "level": 1.0})
	answer, _ = s.One("resource.plan", object{"type": "test.note", "desired": note("/a", object{"text": "two"}), "prior": object{}})
	prior, _ = changedOf(t, answer)
	want(t, "no prior", prior, nil)
}

func TestPropertiesAreJudgedByTheirSchema(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	for _, bad := range []struct {
		desired object
		path    any
	}{
		{object{"path": "a", "text": "x"}, "/path"},
		{object{"path": "/a"}, nil},
		{object{"path": "/a", "text": 3}, "/text"},
		{object{"path": "/a", "text": "x", "level": 10}, "/level"},
		{object{"path": "/a", "text": "x", "labels": []any{"a", 1}}, "/labels/1"},
		{object{"path": "/a", "text": "x", "Text": "y"}, "/Text"},
		{object{"path": "/a", "text": "x", "size": 3}, "/size"},
		{object{"path": "/a", "text": "x", "ensure": "gone"}, "/ensure"},
		{object{"path": "/a", "text": object{"$secret": []any{object{"name": "db"}}}}, "/text"},
		{object{"path": "/a", "text": "x", "key": object{"$secret": []any{"no secret"}}}, "/key"},
	} {
		for _, method := range []string{"resource.validate", "resource.normalize", "resource.plan"} {
			_, failed := s.One(method, object{"type": "test.note", "desired": bad.desired})
			if failed["code"] != "SCHEMA" || failed["mutated"] != "no" || failed["path"] != bad.path {
				t.Fatalf("%s %v: %v", method, bad.desired, failed)
			}
		}
		_, failed := s.Apply(providertest.Bare("bad", "test.note", "create", bad.desired))
		want(t, "apply", codes(failed), []any{"SCHEMA", "no"})
	}
	_, failed := s.One("resource.validate", object{"type": "test.note", "desired": note("/a", object{"text": "x"})})
	want(t, "good", failed, object(nil))
	normal, _ := s.One("resource.normalize", object{"type": "test.note", "desired": note("/a", object{
		"text": "x", "labels": []any{"b", "a"}, "key": object{"$secret": []any{object{"name": "db"}}}})})
	want(t, "normal", normal, note("/a", object{
		"text": "x", "labels": []any{"a", "b"}, "key": object{"$secret": []any{object{"name": "db"}}}}))
}

func TestAnActionShowsThatItWasDoneAndIsTakenBack(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	desired := object{"path": "/made"}
	plan := s.Plan("test.made", desired)["changed"].(object)
	want(t, "plan", plan, object{"prior": object{"done": false}, "planned": object{"done": true},
		"prediction": "conditional", "undo": "lossy", "undo_note": "it is taken back by its own action"})
	make := providertest.Operation(t, "make", "test.made", "run", desired, object{"done": false}, object{"done": true})
	applied, _ := s.Apply(make)
	want(t, "applied", applied, object{"status": "applied", "state": object{"done": true}})
	want(t, "then", s.Plan("test.made", desired), object{"unchanged": object{"state": object{"done": true}}})
	back := providertest.With(desired, object{"$undo": true})
	undo := providertest.Operation(t, "undo", "test.made", "run", back, object{"done": true}, object{"done": false})
	applied, _ = s.Apply(undo)
	want(t, "undone", applied, object{"status": "applied", "state": object{"done": false}})
	// Once is once, whatever the guard says.
	applied, _ = s.Apply(make)
	want(t, "stored", applied, object{"status": "applied", "state": object{"done": true}})
	if _, err := os.Stat(h.Path("/made")); err == nil {
		t.Fatal("it ran twice")
	}
	plan = s.Plan("test.strike", object{"path": "/out"})["changed"].(object)
	want(t, "without a guard", plan["prediction"], "opaque")
	_, failed := s.One("resource.plan", object{"type": "test.strike", "desired": object{"path": "/out", "$undo": true}})
	want(t, "no way back", failed["code"], "UNSUPPORTED")
}

func TestAProbeAnswersYesOrNo(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	desired := object{"path": "/a"}
	want(t, "no", s.Read("test.shown", desired), object{"ok": false, "detail": "it is not there"})
	_, failed := s.One("resource.plan", object{"type": "test.shown", "desired": desired})
	want(t, "plan", []any{failed["code"], failed["message"]}, []any{"FAILED", "it is not there"})
	os.WriteFile(h.Path("/a"), nil, 0o600)
	want(t, "yes", s.Plan("test.shown", desired), object{"unchanged": object{"state": object{"ok": true, "detail": "it is there"}}})
	_, failed = s.Apply(providertest.Bare("a", "test.shown", "run", desired))
	want(t, "apply", codes(failed), []any{"UNSUPPORTED", "no"})
}

func TestACodeNeverPromisesMoreThanIsKnown(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	os.Mkdir(h.Path("/dir"), 0o700)
	// The same refusal means less where something was done before.
	_, failed := s.One("resource.read", readItem("/dir"))
	want(t, "read", codes(failed), []any{"CONFLICT", "no"})
	_, failed = s.Apply(strike("a", object{"argv": []any{"not/absolute"}}))
	want(t, "run", codes(failed), []any{"PARTIAL", "maybe"})
}

const (
	canary = "hunter22-canary"
	keyHex = "abababababababababababababababababababababababababababababababab"
)

func secretly(h *providertest.Home, mode string) *providertest.Session {
	return h.Session(program, mode, object{"digest_key": keyHex, "secrets": object{"db": canary}})
}

func TestASecretIsNamedSeenByItsDigestAndBroughtBack(t *testing.T) {
	h := providertest.NewHome(t)
	s := secretly(h, "apply")
	named := object{"$secret": []any{"pw=", object{"name": "db"}}}
	desired := note("/a", object{"text": "x", "key": named})
	prior, planned := changedOf(t, s.Plan("test.note", desired))
	digest := planned.(object)["key"].(string)
	if !strings.HasPrefix(digest, "blake3:") || digest == rectify.DigestOf([]byte("pw="+canary)).String() {
		t.Fatal(digest)
	}
	applied, failed := s.Apply(providertest.Operation(t, "a", "test.note", "create", desired, prior, planned, "/size"))
	if failed != nil || applied["state"].(object)["key"] != digest {
		t.Fatal(applied, failed)
	}
	content, _ := os.ReadFile(h.Path("/a"))
	want(t, "content", string(content), `{"text":"x","key":"pw=`+canary+`"}`)
	// The before-image is private and named by its keyed digest.
	answer, _ := s.One("resource.read", object{"type": "test.note", "desired": desired, "capture": true})
	want(t, "before-image", answer["before_image"], digest)
	blob := filepath.Join(h.Blobs, strings.TrimPrefix(digest, "blake3:"))
	kept, _ := os.ReadFile(blob)
	info, _ := os.Stat(blob)
	want(t, "blob", []any{string(kept), info.Mode()}, []any{"pw=" + canary, os.FileMode(0o600)})
	before := answer["state"]
	gone := object{"path": "/a", "ensure": "absent"}
	prior, planned = changedOf(t, s.Plan("test.note", gone))
	s.Apply(providertest.Operation(t, "b", "test.note", "delete", gone, prior, planned, "/size"))
	restore := object{"path": "/a", "$restore": object{"state": before}}
	_, failed = s.Apply(providertest.Operation(t, "c", "test.note", "create", restore, nil, before, "/size"))
	want(t, "restored", failed, object(nil))
	content, _ = os.ReadFile(h.Path("/a"))
	want(t, "content", string(content), `{"text":"x","key":"pw=`+canary+`"}`)
	os.Remove(h.Path("/a"))
	os.Remove(blob)
	_, failed = s.Apply(providertest.Operation(t, "d", "test.note", "create", restore, nil, before, "/size"))
	want(t, "without its blob", codes(failed), []any{"DEPENDENCY", "no"})
	_, failed = h.Session(program, "plan", object{"secrets": object{"db": canary}}).
		One("resource.plan", object{"type": "test.note", "desired": desired})
	want(t, "without a key", failed["code"], "UNSUPPORTED")
	_, failed = h.Session(program, "plan", object{"digest_key": keyHex}).
		One("resource.plan", object{"type": "test.note", "desired": desired})
	want(t, "without a value", []any{failed["code"], failed["path"]}, []any{"SCHEMA", "/key"})
}

func TestNoSecretGetsOut(t *testing.T) {
	h := providertest.NewHome(t)
	s := secretly(h, "apply")
	script := `read line; echo "got $line"; printf %s "$line" | base64; echo "$line" >&2; exit 3`
	op := strike("a", object{
		"argv": []any{"/bin/sh", "-c", script}, "stdin": object{"$secret": []any{object{"name": "db"}}},
	})
	_, failed := s.Apply(op)
	if failed["code"] != "FAILED" {
		t.Fatal(failed)
	}
	ok := strike("b", object{
		"argv":  []any{"/bin/sh", "-c", strings.Replace(script, "exit 3", "tr '\\0' ' ' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/self/cmdline", 1)},
		"stdin": object{"$secret": []any{object{"name": "db"}}},
	})
	applied, _ := s.Apply(ok)
	output := applied["output"].(object)
	if !strings.Contains(output["stdout"].(string), "got (standard input)") {
		t.Fatal(output)
	}
	// What a service wrote into its own file is no business of the engine either.
	os.WriteFile(h.Path("/leak"), []byte(`{"text":"`+canary+`"}`), 0o600)
	leaked := s.Read("test.note", object{"path": "/leak"})
	want(t, "leak", leaked.(object)["text"], "(secret db)")
	everything, _ := json.Marshal([]any{failed, applied, leaked})
	text := string(everything) + s.Stderr()
	entries, _ := os.ReadDir(h.State)
	for _, entry := range entries {
		content, _ := os.ReadFile(filepath.Join(h.State, entry.Name()))
		text += string(content)
	}
	for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))} {
		if strings.Contains(text, form) {
			t.Fatalf("%s is in %s", form, text)
		}
	}
}

func TestCommandsAreMarkedBoundedAndEndedAsAGroup(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	op := strike("env", object{"argv": []any{"env"}})
	applied, _ := s.Apply(op)
	output := applied["output"].(object)
	want(t, "environment", output["stdout"], "PATH="+rectify.SearchPath+"\nLANG=C.UTF-8\nRECTIFY_ROOT="+h.Root+
		"\nRECTIFY_OPERATION="+op["op_id"].(string)+"\n")
	want(t, "exit code", output["exit_code"], 0.0)
	applied, _ = s.Apply(strike("long", object{"argv": []any{"/bin/sh", "-c", "yes | head -c 200000; echo end"}}))
	output = applied["output"].(object)
	text := output["stdout"].(string)
	want(t, "tail", []any{len(text), strings.HasSuffix(text, "end\n"), output["truncated"]}, []any{rectify.OutputTailBytes, true, true})
	_, failed := s.Apply(strike("none", object{"argv": []any{"no-such-program"}}))
	want(t, "missing", codes(failed), []any{"DEPENDENCY", "maybe"})
	_, failed = s.Apply(providertest.With(strike("late", object{"argv": []any{"sleep", "60"}}), object{"deadline_ms": 300}))
	want(t, "late", codes(failed), []any{"TIMEOUT", "maybe"})

	// A child of the command must go, too.
	group := strike("group", object{"argv": []any{"/bin/sh", "-c", "sleep 61 & echo $! > " + h.Path("/pid") + "; wait"}})
	id := s.Send("resource.apply", group)
	var pid int
	for pid == 0 {
		time.Sleep(5 * time.Millisecond)
		content, _ := os.ReadFile(h.Path("/pid"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(content)))
	}
	s.Notify("$/cancel", object{"id": id})
	answer := s.Answer(id)["result"].(object)["error"].(object)
	want(t, "cancelled", codes(answer), []any{"CANCELLED", "maybe"})
	for until := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the child still runs")
		}
		if content, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); strings.Contains(string(content), ") Z ") {
			break
		}
	}
}

func put(s *providertest.Session, digest rectify.Digest, content []byte, from, to int) (object, object) {
	answer, _ := s.Call("blob.put", object{
		"digest": digest.String(), "offset": from, "size": len(content),
		"chunk": base64.StdEncoding.EncodeToString(content[from:to]),
	})
	members := answer.(object)
	ok, _ := members["ok"].(object)
	failed, _ := members["error"].(object)
	return ok, failed
}

func TestABlobComesBackAsItWentOverABrokenTransfer(t *testing.T) {
	h := providertest.NewHome(t)
	content := make([]byte, 1_300_000)
	for i := range content {
		content[i] = byte(i % 251)
	}
	digest := rectify.DigestOf(content)
	first := h.Session(program, "apply")
	ok, _ := put(first, digest, content, 0, 500_000)
	want(t, "begun", ok, object{"received": 500_000.0, "complete": false})
	first.Kill()
	s := h.Session(program, "apply")
	get := func(offset int) (object, object) {
		answer := s.Must("blob.get", object{"digest": digest.String(), "offset": offset, "length": 1_000_000}).(object)
		ok, _ := answer["ok"].(object)
		failed, _ := answer["error"].(object)
		return ok, failed
	}
	_, failed := get(0)
	want(t, "not there yet", failed["code"], "DEPENDENCY")
	for _, step := range [][3]int{{0, 500_000, 500_000}, {900_000, 1_000_000, 500_000}, {500_000, 1_000_000, 1_000_000}, {1_000_000, 1_300_000, 1_300_000}} {
		ok, failed = put(s, digest, content, step[0], step[1])
		if failed != nil || ok["received"] != float64(step[2]) {
			t.Fatal(step, ok, failed)
		}
	}
	want(t, "complete", ok["complete"], true)
	var back []byte
	for len(back) < len(content) {
		ok, failed := get(len(back))
		if failed != nil {
			t.Fatal(failed)
		}
		chunk, _ := base64.StdEncoding.DecodeString(ok["chunk"].(string))
		back = append(back, chunk...)
	}
	want(t, "content", rectify.DigestOf(back), digest)
	content[len(content)-1] ^= 1
	os.WriteFile(filepath.Join(h.Blobs, digest.Hex()), content, 0o600)
	_, failed = get(0)
	want(t, "damaged", failed["code"], "FAILED")
	_, failed = put(s, rectify.DigestOf([]byte("other")), []byte("abc"), 0, 3)
	want(t, "a lie", failed["code"], "SCHEMA")
	answer, _ := h.Session(program, "plan").Call("blob.put", object{"digest": digest.String(), "offset": 0, "size": 0, "chunk": ""})
	want(t, "mode", answer.(object)["error"].(object)["code"], "MODE")
	entries, _ := os.ReadDir(h.Blobs)
	want(t, "files", len(entries), 1)
}
