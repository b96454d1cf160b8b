package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	rectify "rectify/provider"
)

// The twin of a provider of the Rust SDK, whose manifest it is given: the same
// questions must have the same answers, byte for byte.

// Run is the properties of `command.run`.
type Run struct {
	Argv        []string          `json:"argv,omitempty"`
	Script      string            `json:"script,omitempty"`
	Creates     string            `json:"creates,omitempty"`
	Unless      []string          `json:"unless,omitempty"`
	OnlyIf      []string          `json:"only_if,omitempty"`
	Undo        []string          `json:"undo,omitempty"`
	User        string            `json:"user,omitempty"`
	Directory   string            `json:"directory,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	ExitCodes   []int             `json:"exit_codes,omitempty"`
	TimeoutS    int               `json:"timeout_s,omitempty"`
	Stdin       *rectify.Secret   `json:"stdin,omitempty"`
}

type twin struct{}

func (twin) Run(cx *rectify.Cx, p Run) (*rectify.Output, error) {
	command := rectify.Command{Argv: p.Argv, Env: p.Environment, Dir: p.Directory, Timeout: time.Duration(p.TimeoutS) * time.Second}
	if p.Script != "" {
		command.Argv = []string{"/bin/sh", "-eu", "-c", p.Script}
	}
	if p.Stdin != nil {
		command.Stdin = p.Stdin.Reveal()
	}
	done, err := cx.Run(command)
	if err != nil {
		return nil, rectify.Unchanged(err)
	}
	return &done.Output, done.Err()
}

func serveTwin(path string) {
	var manifest struct {
		Name, Version string
		Types         []struct {
			Name, Summary, Prediction, Undo string
			Version                         int
			Schema                          json.RawMessage
			ReadTimeoutMS                   int `json:"read_timeout_ms"`
			ApplyTimeoutMS                  int `json:"apply_timeout_ms"`
			Touches                         []struct{ Property, Kind, Access string }
		}
	}
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &manifest)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var kinds []rectify.Kind
	for _, t := range manifest.Types {
		options := []rectify.Option{
			rectify.Schema(string(t.Schema)), rectify.Summary(t.Summary), rectify.Prediction(t.Prediction), rectify.Undo(t.Undo),
			rectify.Timeouts(time.Duration(t.ReadTimeoutMS)*time.Millisecond, time.Duration(t.ApplyTimeoutMS)*time.Millisecond),
		}
		for _, touch := range t.Touches {
			options = append(options, rectify.Touches(touch.Property, touch.Kind, touch.Access))
		}
		kinds = append(kinds, rectify.Do[Run](t.Name, t.Version, twin{}, options...))
	}
	rectify.Serve(manifest.Name, manifest.Version, kinds...)
}
