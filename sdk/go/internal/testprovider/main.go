// A provider for the SDK's own tests: it does what its properties ask for, bad
// things included.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	rectify "rectify/provider"
)

// Note is a file of JSON.
type Note struct {
	Path   string          `json:"path" rectify:"identity,touch=path" pattern:"^/"`
	Ensure string          `json:"ensure" rectify:"ensure"`
	Text   string          `json:"text" max:"20000000"`
	Labels []string        `json:"labels,omitempty" rectify:"set"`
	Level  *int            `json:"level" min:"0" max:"9"`
	Size   int             `json:"size" rectify:"computed"`
	Key    *rectify.Secret `json:"key"`
	Do     []string        `json:"do,omitempty" rectify:"input" doc:"What to do on the way."`
}

// onDisk is how a note is kept. Its key is readable there, as in any file of a service.
type onDisk struct {
	Text   string   `json:"text"`
	Labels []string `json:"labels,omitempty"`
	Level  *int     `json:"level,omitempty"`
	Key    string   `json:"key,omitempty"`
}

type notes struct{}

func (notes) Read(cx *rectify.Cx, id Note) (*Note, error) {
	for _, word := range strings.Split(id.Path, "/") {
		if err := misbehave(cx, word); err != nil {
			return nil, err
		}
	}
	file, err := cx.ReadFile(id.Path)
	if file == nil || err != nil {
		return nil, err
	}
	var found onDisk
	if err := json.Unmarshal(file.Content, &found); err != nil {
		return nil, err
	}
	id.Text, id.Labels, id.Level, id.Size = found.Text, found.Labels, found.Level, len(file.Content)
	if found.Key != "" {
		key := rectify.NewSecret(found.Key)
		id.Key = &key
	}
	return &id, nil
}

func (notes) Apply(cx *rectify.Cx, s *rectify.Step[Note]) (rectify.Applied[Note], error) {
	return s.Write(func(found, want *Note) error {
		cx.Progress("began")
		for _, word := range s.Desired.Do {
			if err := misbehave(cx, word); err != nil {
				return err
			}
		}
		if want == nil {
			return cx.Remove(s.ID.Path)
		}
		for _, word := range s.Desired.Do {
			if word == "leak" && want.Key != nil {
				cx.Log("info", "the key is %s", want.Key.Reveal())
				cx.Progress("with %s", want.Key.Reveal())
				return fmt.Errorf("it is %q", want.Key.Reveal())
			}
		}
		kept := onDisk{Text: want.Text, Labels: want.Labels, Level: want.Level}
		if want.Key != nil {
			kept.Key = want.Key.Reveal()
		}
		content, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		if err := cx.WriteFile(s.ID.Path, content, 0o600); err != nil {
			return err
		}
		for _, word := range s.Desired.Do {
			if err := misbehave(cx, strings.TrimPrefix(word, "then-")); err != nil && strings.HasPrefix(word, "then-") {
				return err
			}
		}
		return nil
	})
}

func misbehave(cx *rectify.Cx, word string) error {
	switch {
	case word == "panic":
		panic("asked to panic")
	case word == "tell":
		cx.Progress("told")
	case word == "lie":
		return rectify.Unchanged(errors.New("nothing was done"))
	case word == "fail":
		return errors.New("asked to fail")
	case word == "print":
		fmt.Println(`{"jsonrpc":"2.0","id":1,"result":"stray"}`)
		// A child inherits standard output, and standard input too.
		stray := exec.Command("/bin/sh", "-c", "echo stray child; cat")
		stray.Stdin, stray.Stdout = os.Stdin, os.Stdout
		stray.Run()
		io.ReadAll(os.Stdin)
	case strings.HasPrefix(word, "wait-"):
		pause, err := time.ParseDuration(strings.TrimPrefix(word, "wait-"))
		if err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-cx.Done():
			return rectify.Errorf(rectify.CodeCancelled, "stopped half way").Having(rectify.MutatedYes)
		}
	case strings.HasPrefix(word, "deaf-"):
		pause, err := time.ParseDuration(strings.TrimPrefix(word, "deaf-"))
		if err != nil {
			return err
		}
		time.Sleep(pause)
	}
	return nil
}

// Strike appends a line to a file, or runs a command.
type Strike struct {
	Path     string         `json:"path" rectify:"identity" pattern:"^/"`
	RefuseIf string         `json:"refuse_if,omitempty"`
	Argv     []string       `json:"argv,omitempty"`
	Stdin    rectify.Secret `json:"stdin,omitempty"`
	Do       []string       `json:"do,omitempty"`
}

type strikes struct{}

func (strikes) Run(cx *rectify.Cx, p Strike) (*rectify.Output, error) {
	if p.RefuseIf != "" {
		there, err := cx.Exists(p.RefuseIf)
		if err != nil || there {
			return nil, rectify.Unchanged(fmt.Errorf("refused before anything was done: %v", err))
		}
	}
	file, err := os.OpenFile(cx.Root()+p.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, rectify.Unchanged(err)
	}
	defer file.Close()
	if _, err := file.WriteString("ran\n"); err != nil {
		return nil, err
	}
	cx.Progress("ran")
	for _, word := range p.Do {
		if err := misbehave(cx, word); err != nil {
			return nil, err
		}
	}
	if p.Argv == nil {
		return nil, nil
	}
	done, err := cx.Run(rectify.Command{Argv: p.Argv, Stdin: p.Stdin.Reveal()})
	if err != nil {
		return nil, err
	}
	return &done.Output, done.Err()
}

// Made makes a file, and shows that it did.
type Made struct {
	Path string `json:"path" rectify:"identity,touch=path" pattern:"^/"`
}

type makes struct{}

func (makes) Done(cx *rectify.Cx, p Made) (bool, error) { return cx.Exists(p.Path) }

func (makes) Run(cx *rectify.Cx, p Made) (*rectify.Output, error) {
	return nil, cx.WriteFile(p.Path, nil, 0o600)
}

func (makes) Undo(cx *rectify.Cx, p Made) (*rectify.Output, error) { return nil, cx.Remove(p.Path) }

// Shown asks whether something is there.
type Shown struct {
	Path string `json:"path" rectify:"touch=path" pattern:"^/"`
}

type shows struct{}

func (shows) Ask(cx *rectify.Cx, p Shown) (bool, string, error) {
	there, err := cx.Exists(p.Path)
	if there {
		return true, "it is there", err
	}
	return false, "it is not there", err
}

func main() {
	if manifest := os.Getenv("RECTIFY_TEST_TWIN"); manifest != "" {
		serveTwin(manifest)
	}
	rectify.Serve("test", "0.1.0",
		rectify.Type[Note]("test.note", 1, notes{}, rectify.Summary("A file with a text.")),
		rectify.Do[Strike]("test.strike", 1, strikes{}, rectify.Summary("Appends a line to a file.")),
		rectify.Do[Made]("test.made", 1, makes{}, rectify.Summary("Makes an empty file.")),
		rectify.Ask[Shown]("test.shown", 1, shows{}, rectify.Summary("Whether something is there.")),
	)
}
